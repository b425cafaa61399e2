#!/usr/bin/env bash
# The same group requests to Apache Kafka and to Klamm, their answers compared. KLAMM_BIN names the binary (default: the
# release build). Options: see run.py --help.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
