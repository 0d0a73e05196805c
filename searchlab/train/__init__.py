"""The only training loop, and what it is told: regimes, schedules, losses."""
