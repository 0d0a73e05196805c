"""Runtime of early-exit networks: routing, scores in torch, latency check."""
