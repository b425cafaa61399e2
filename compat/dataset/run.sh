#!/usr/bin/env bash
# Real text lines through kcat and the Java producer, five compressions, and back, before and after kill -9.
# DATASET_MB: megabytes of lines in total (default 1050); DATASET_ROOTS: folders to take text files from, separated by ':'.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
