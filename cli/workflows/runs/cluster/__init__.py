"""Runs that the nodes of a cluster train."""
