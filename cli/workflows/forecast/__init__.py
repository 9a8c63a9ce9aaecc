"""What use cases share to forecast: evidence, measurements, plans and their predicted cost and error."""
