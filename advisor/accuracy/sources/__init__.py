"""Where errors of trainings come from: publications and tables of other programs."""
