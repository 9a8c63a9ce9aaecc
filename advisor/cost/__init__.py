"""What a training step costs on this machine: time and memory, predicted from a few measured networks."""
