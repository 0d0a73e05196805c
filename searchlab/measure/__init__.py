"""Latency, measured in isolation and beside a reference."""
