"""Trials on Ray Tune. The only package that imports ray; `runners/cluster.py` is the way in."""
