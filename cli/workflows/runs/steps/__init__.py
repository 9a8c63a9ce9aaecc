"""A run that several processes train step by step: storing it, one step, and the evaluation at the end."""
