"""Training: the loop, its regimes, schedules, losses and procedures."""
