#!/usr/bin/env bash
# Testcontainers' Kafka modules, unmodified, against the image: `run.sh [java|rust|go|node|python]...`.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
