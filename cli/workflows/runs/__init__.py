"""Use cases of runs: train, extend, query, predict, export."""
