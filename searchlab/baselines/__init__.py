"""Exit rules and policies of other authors, to compare the exact frontier with."""
