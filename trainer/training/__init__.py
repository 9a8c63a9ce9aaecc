"""Training of one network: the training step, the training loop, and checkpoints."""
