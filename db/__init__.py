"""db remembers: measurements, recommendations and runs in one SQLite file."""
