"""Charts of a plan, as `advisor explain` describes it: its networks, its steps over time, and its layers."""
