#!/usr/bin/env bash
# What members of share groups get and say, of Apache Kafka and of Klamm, compared. KLAMM_BIN names the binary (default: the
# release build). Options: see run.py --help.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
