#!/usr/bin/env bash
# kcat sessions with exact expectations. KLAMM_BIN names the binary.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
