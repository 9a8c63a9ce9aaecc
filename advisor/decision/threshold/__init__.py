"""The Ensemble Switchover Threshold and its map."""
