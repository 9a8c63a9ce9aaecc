"""Training plans: the data set, the schedule, the steps of every method, and the records of a run."""
