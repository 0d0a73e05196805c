"""Ray Tune runner. The only package that imports ray; `runners/cluster.py` is its entry."""
