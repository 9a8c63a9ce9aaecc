"""Runs as a picture shows them: curves while they train, and forecasts beside what became of them."""
