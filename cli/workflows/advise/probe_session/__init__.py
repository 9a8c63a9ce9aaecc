"""A probing session: how many probes train at once, their processes, and the answer."""
