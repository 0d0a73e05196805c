"""Seeds: derives seeds from one another and fits them to the ranges of libraries.

A seed is any non-negative integer. Seeds within a library's range are used unchanged. Larger ones are mixed by numpy's
SeedSequence, so that different seeds give different random numbers.
"""

import numpy as np

BITS_OF_LIBRARIES = 32
"""Bits of a seed for Optuna's samplers, scikit-learn and numpy's RandomState."""

BITS_OF_TRIALS = 63
"""Bits of a seed for trainings: accepted by torch, and within a signed 64-bit integer."""

NUMBER_STEP, TRIAL_STEP = 1_000_003, 100_003
"""Distance between study seeds, for the seeds of samplers and of trials."""

REPLICATE_STEP = 10_000_019
"""Distance from a trial's seed to its first fresh seed: larger than all distances within a study."""


def library_seed(seed: int) -> int:
    """Returns the seed for Optuna, scikit-learn, or another library that takes 32 bits."""
    return _fitted(seed, BITS_OF_LIBRARIES)


def sampler_seed(study_seed: int, number: int) -> int:
    """Returns the seed of the sampler that suggests trial `number` of a study."""
    return library_seed(study_seed * NUMBER_STEP + number)


def trial_seed(study_seed: int, number: int) -> int:
    """Returns the seed of the training of trial `number` of a study."""
    return _fitted(study_seed * TRIAL_STEP + number, BITS_OF_TRIALS)


def replicate_seed(original: int, run: int) -> int:
    """Returns the fresh seed `run` (from 1) for the candidate of a trial with seed `original`."""
    return _fitted(original + run * REPLICATE_STEP, BITS_OF_TRIALS)


def torch_seed(seed: int) -> int:
    """Returns the seed for torch."""
    return _fitted(seed, BITS_OF_TRIALS)


def _fitted(seed: int, bits: int) -> int:
    if seed < 2**bits:
        return seed
    (mixed,) = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    return int(mixed) >> (64 - bits)
