"""Which design to train: search, ranking, reasons, the next probe, and the switchover threshold."""
