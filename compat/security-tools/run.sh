#!/usr/bin/env bash
# Users, quotas and delegation tokens: Kafka's tools against Klamm and against Apache Kafka, and kafka-storage beside klamm
# storage. KLAMM_BIN names the binary (default: the release build). Options: see run.py --help.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
