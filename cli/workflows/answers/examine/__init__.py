"""Answers of the commands that examine designs without training: explain, whatif, profile, est, space."""
