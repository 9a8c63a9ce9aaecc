"""Peak memory: what is alive at each moment of a step, the largest moment, and what libraries add to it."""
