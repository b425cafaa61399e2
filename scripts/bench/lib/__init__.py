"""The parts of the benchmark; `scripts/bench/run` is its entry."""
