#!/usr/bin/env bash
# What brokers ask the share coordinator, of Apache Kafka and of Klamm, compared. KLAMM_BIN names the binary (default: the
# release build). Options: see run.py --help.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
