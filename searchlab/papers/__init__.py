"""Papers as studies: nouns and shared evaluation. The papers themselves are in `studies/papers`."""
