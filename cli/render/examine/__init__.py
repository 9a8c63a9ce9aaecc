"""Answers of commands that examine what there is, for a person."""
