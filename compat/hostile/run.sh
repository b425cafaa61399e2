#!/usr/bin/env bash
# Malformed and greedy input against the binary, while a well-behaved client goes on. KLAMM_BIN names the binary.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
