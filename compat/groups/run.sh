#!/usr/bin/env bash
# Consumer groups: Kafka's tools against Klamm and against Apache Kafka, and applications on librdkafka and on the Java
# consumer that share groups. KLAMM_BIN names the binary (default: the release build). Options: see run.py --help.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
