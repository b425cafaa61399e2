#!/usr/bin/env bash
# Partition folders written by Apache Kafka opened by Klamm, and the other way round. KLAMM_BIN names the binary.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
