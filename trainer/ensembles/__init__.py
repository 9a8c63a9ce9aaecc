"""Trained ensembles: metrics, evaluation, one module for all members, and export to other formats."""
