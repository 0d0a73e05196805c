"""Exit tables, scores, and the search for exit rules."""
