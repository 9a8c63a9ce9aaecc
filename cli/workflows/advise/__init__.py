"""Use cases that advise: recommend, probe."""
