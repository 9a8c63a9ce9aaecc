"""How different the members of finished ensembles are."""
