"""Prices on a cluster: kinds of nodes, measuring one of each kind, and what a plan takes on them."""
