#!/usr/bin/env bash
# Five clients with each mechanism, alone and over TLS, and with certificates, on Apache Kafka and on Klamm. KLAMM_BIN names the binary.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
