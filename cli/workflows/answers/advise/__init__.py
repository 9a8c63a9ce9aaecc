"""Advice, what it rests on, and probes."""
