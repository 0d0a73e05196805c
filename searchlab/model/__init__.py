"""Networks cut into stages, heads, and what they cost before anything is trained."""
