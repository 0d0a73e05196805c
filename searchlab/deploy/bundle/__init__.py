"""Bundles: a point of a front as a folder of files that run without searchlab."""
