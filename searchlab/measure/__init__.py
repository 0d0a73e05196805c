"""Latency measurement, isolated from trainings and interleaved with a reference network."""
