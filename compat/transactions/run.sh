#!/usr/bin/env bash
# Transactions against Apache Kafka and against Klamm, compared. KLAMM_BIN names the binary (default: the release build).
# Options: see run.py --help.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
