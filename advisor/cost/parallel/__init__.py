"""Seconds of the steps of a plan side by side, and what further slots would gain."""
