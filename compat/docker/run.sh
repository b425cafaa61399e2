#!/usr/bin/env bash
# The image as people run it, and compose files as Kafka's (examples.py): `run.sh [EXAMPLE]...`. KLAMM_BIN names the binary that goes into it. Needs a Docker engine, or root and dockerd to start one.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
