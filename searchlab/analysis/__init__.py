"""Analysis of a finished study: test evaluation, replicates, rate-matched reading, importance."""
