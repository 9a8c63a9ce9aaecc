"""Trained members together: metrics, evaluation, one module, and export to other formats."""
