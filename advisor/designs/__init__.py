"""Ensembles under one parameter budget: single networks, their equivalents, mixtures, clusters."""
