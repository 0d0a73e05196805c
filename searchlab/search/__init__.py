"""The search: samplers, early stopping, the store, heartbeats, and the driver."""
