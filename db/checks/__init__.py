"""Checks of what is read back: damaged rows, and tables that are not those of the schema."""
