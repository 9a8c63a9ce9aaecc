"""Data sets: their files, their splits, and batches with augmentation."""
