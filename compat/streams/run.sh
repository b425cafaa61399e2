#!/usr/bin/env bash
# A Kafka Streams application that runs exactly-once while the broker and the application are killed with kill -9: what it
# made must equal a recount of its input. KLAMM_BIN names the binary (default: the release build). Options: see run.py --help.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
