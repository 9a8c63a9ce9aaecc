"""Pages: one module for each, from the query of an address to what the page shows."""
