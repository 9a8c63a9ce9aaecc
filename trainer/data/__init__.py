"""Data sets: files, splits, and batches with augmentation."""
