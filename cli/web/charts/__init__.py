"""Charts as Vega-Lite specifications: one function for each, from a typed answer."""
