"""Prediction of test errors: a formula, its parameters learned from publications and trainings, intervals."""
