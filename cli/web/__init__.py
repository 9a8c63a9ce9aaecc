"""The web: charts, the local page and the report, made from the same answers as the tables."""
