"""Optuna's samplers by name, with every option that matters spelled out."""

import warnings
from collections.abc import Callable

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler

from searchlab.errors import unknown

STARTUP_TRIALS = 10
"""Random trials before a model-based sampler trusts its model."""


def _tpe(seed: int) -> BaseSampler:
    return TPESampler(multivariate=True, constant_liar=True, n_startup_trials=STARTUP_TRIALS, seed=seed)


def _nsga2(seed: int) -> BaseSampler:
    # The default population of 50 would make the first 50 trials random.
    return NSGAIISampler(population_size=20, seed=seed)


def _gp(seed: int) -> BaseSampler:
    return GPSampler(n_startup_trials=STARTUP_TRIALS, deterministic_objective=False, seed=seed)


def _random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def _qmc(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        # Optuna calls it experimental since 2021; users are not to be told for every trial.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return QMCSampler(qmc_type="sobol", scramble=True, seed=seed, warn_independent_sampling=False)


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": _tpe,
    "nsga2": _nsga2,
    "gp": _gp,
    "random": _random,
    "qmc": _qmc,
}

ONE_SEQUENCE = frozenset({"qmc"})
"""Samplers that walk one sequence: their seed must be the same for every trial of a study."""


def check_sampler(name: str) -> None:
    """Raises UserError where no sampler has that name."""
    if name not in SAMPLERS:
        raise unknown("sampler", name, SAMPLERS, where="Study.sampler")


def sampler_for(name: str, seed: int, number: int) -> BaseSampler:
    """The sampler that suggests trial `number`.

    It is made anew for every trial, seeded by the study's seed and the trial's number, so that what it suggests depends
    on the recorded trials alone: a study that was resumed goes on as if it had never stopped.
    """
    check_sampler(name)
    return SAMPLERS[name](seed if name in ONE_SEQUENCE else seed * 1_000_003 + number)
