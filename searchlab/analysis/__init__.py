"""What happens to a finished study: test evaluation, replicates, rate-matched reading, importance."""
