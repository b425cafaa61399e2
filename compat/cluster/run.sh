#!/usr/bin/env bash
# Clusters of three: Kafka's tools against three Klamm nodes and against three of Apache Kafka; and clients that go on while nodes stop,
# die and come back. KLAMM_BIN names the binary (default: the release build). Options: see run.py --help.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
