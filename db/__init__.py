"""db remembers: measurements, recommendations, runs and reported trainings in one SQLite file."""
