#!/usr/bin/env bash
# Authorization beside Apache Kafka's: every request with every missing permission, kafka-acls, and tools without permissions.
# KLAMM_BIN names the binary (default: the release build). Options: see run.py --help.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
