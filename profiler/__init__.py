"""profiler measures: time and memory of the workloads that it is handed, and nothing else."""
