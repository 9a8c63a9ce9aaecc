"""What training costs in USD."""
