#!/usr/bin/env bash
# librdkafka's own test suite, in full mode, against Apache Kafka and against Klamm. KLAMM_BIN names the binary (default: the release
# build). Options: see run.py --help.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
