"""The one training step and the one training loop, with their checkpoints."""
