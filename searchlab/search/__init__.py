"""Samplers, the store, and the driver between them."""
