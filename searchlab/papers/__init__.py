"""Nouns of papers as studies, and what their evaluations share. The papers themselves are in `studies/papers`."""
