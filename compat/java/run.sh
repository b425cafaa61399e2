#!/usr/bin/env bash
# Kafka's own command line tools against Klamm and against Apache Kafka: what they print must be the same.
# KLAMM_BIN names the binary (default: the release build). Options: see run.py --help.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
