"""Data sets by name, splits, and batches on the device."""
