"""Engines: what executes a network where it is deployed, and networks as graphs of ONNX."""
