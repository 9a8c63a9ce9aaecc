"""One module a use case; the only place where trainer, profiler, db and advisor meet."""
