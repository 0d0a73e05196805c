"""Papers as studies: their tables, ours beside theirs, and what is measured for them after training."""
