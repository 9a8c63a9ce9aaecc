"""Sweeps over one number: the clusters of a given ensemble, the members that share a budget."""
