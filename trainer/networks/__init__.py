"""Networks: modules from specifications, and members that grow from mother networks."""
