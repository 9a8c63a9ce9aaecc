"""Use cases that look without training: explain, whatif, profile, est, space."""
