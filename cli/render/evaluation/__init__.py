"""What a trained ensemble does on its test images, and runs side by side, as tables."""
