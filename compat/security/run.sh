#!/usr/bin/env bash
# TLS and SASL with other people's clients, on Apache Kafka and on Klamm with the same settings. KLAMM_BIN names the binary.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
