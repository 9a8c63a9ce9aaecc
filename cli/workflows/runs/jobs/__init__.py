"""The steps of a stored run as jobs of a scheduler: a script for Slurm, a Makefile."""
