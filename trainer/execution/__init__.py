"""Execution of a plan: the order of its steps, one step, and the worker processes."""
