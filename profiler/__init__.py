"""profiler measures: time and memory of the workloads that it is given, and nothing else."""
