"""Networks that leave early for real."""
