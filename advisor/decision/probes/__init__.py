"""Which trainings to make before an answer."""
