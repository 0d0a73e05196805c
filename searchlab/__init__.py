"""searchlab: search for early-exit image classifiers, from a study to a Pareto front."""
