"""Conversion of rows to records and back."""
