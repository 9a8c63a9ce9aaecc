"""Answers about runs."""
