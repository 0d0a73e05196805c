"""Networks in stages with heads on the cuts, and their costs before any training."""
