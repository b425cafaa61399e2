#!/usr/bin/env bash
# Testcontainers' Kafka modules, unmodified, against the image: `run.sh [java|java-1|rust|go|node|python]...`.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
