#!/usr/bin/env bash
# A cluster of three with TLS, SCRAM and client certificates between its nodes: from the same settings three nodes of Apache
# Kafka and three of Klamm, and Kafka's tools do the same with both. KLAMM_BIN names the binary.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
