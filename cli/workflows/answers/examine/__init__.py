"""Answers of the commands that look without training: explain, whatif, profile, est."""
