"""The front of a study: dominance, points, the history of a search, replicates."""
