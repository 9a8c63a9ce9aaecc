"""Navigation: from one cluster to as many as an error, a time or an amount in USD needs."""
