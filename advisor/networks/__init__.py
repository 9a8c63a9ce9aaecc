"""One network as a per-layer specification, its operation graph, and the mother of several."""
