"""A plan is executed: which steps are ready, one step, and the worker processes."""
