"""A plan on many machines: worker processes of a Ray cluster in place of a pool on this machine."""
