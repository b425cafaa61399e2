#!/usr/bin/env bash
# Members of a share group lose nothing while members and brokers die: see run.py. KLAMM_BIN names another binary than target/release/klamm.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python3 compat/share-groups/run.py "$@"
