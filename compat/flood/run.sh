#!/usr/bin/env bash
# Ten thousand connections that never log in, while a client that has goes on. KLAMM_BIN names the binary.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
