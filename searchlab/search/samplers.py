"""Optuna's samplers by name, with all relevant options."""

import warnings
from collections.abc import Callable, Iterable

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial

from searchlab.errors import unknown
from searchlab.search.own_sampler import own_sampler
from searchlab.seeds import library_seed, sampler_seed
from searchlab.user_file import UserFile, file_named, is_file_name

STARTUP_TRIALS = 5
"""Random trials before a model-based sampler uses its model. Optuna's default of 10 is a large part of a small study;
in the replayed searches of docs/benchmarks.md, 5 are never worse."""


class JointTPESampler(TPESampler):
    """TPE with a joint search space that can be computed once for a study.

    Otherwise every new sampler would compare the parameters of all trials again: 50 ms at 1,000 trials.
    """

    joint: IntersectionSearchSpace | None = None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Returns the parameters that all trials have in common, without constants."""
        if self.joint is None:
            return super().infer_relative_search_space(study, trial)
        return {name: kind for name, kind in self.joint.calculate(study).items() if not kind.single()}


def _tpe(seed: int) -> BaseSampler:
    return JointTPESampler(multivariate=True, constant_liar=True, n_startup_trials=STARTUP_TRIALS, seed=seed)


def _nsga2(seed: int) -> BaseSampler:
    # The default population of 50 would make the first 50 trials random.
    return NSGAIISampler(population_size=20, seed=seed)


def _gp(seed: int) -> BaseSampler:
    return GPSampler(
        n_startup_trials=STARTUP_TRIALS, deterministic_objective=False, seed=seed, warn_independent_sampling=False
    )


def _random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def _qmc(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        # Experimental in Optuna since 2021; a warning at every trial would not help users.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return QMCSampler(qmc_type="sobol", scramble=True, seed=seed, warn_independent_sampling=False)


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": _tpe,
    "nsga2": _nsga2,
    "gp": _gp,
    "random": _random,
    "qmc": _qmc,
}

RANDOM_FIRST = frozenset({"tpe", "nsga2", "gp"})
"""Samplers with random first trials: see `startup`."""

ONE_SEQUENCE = frozenset({"qmc"})
"""Samplers that follow one sequence: all trials of a study need the same seed."""


def check_sampler(name: str, files: Iterable[UserFile] = ()) -> None:
    """Raises UserError if no sampler has that name, or its file makes none."""
    _made(name, 0, files)


def _made(name: str, seed: int, files: Iterable[UserFile]) -> BaseSampler:
    if is_file_name(name):
        return own_sampler(file_named("sampler", name, files), seed)
    if name not in SAMPLERS:
        raise unknown("sampler", name, SAMPLERS, where="Study.sampler", besides="a .py file of your own")
    return SAMPLERS[name](seed)


def joint_space() -> IntersectionSearchSpace:
    """Computes what all `sampler_for` calls of a study can share; it reads every finished trial once."""
    return IntersectionSearchSpace(include_pruned=True)


def sampler_for(
    name: str,
    seed: int,
    number: int,
    joint: IntersectionSearchSpace | None = None,
    files: Iterable[UserFile] = (),
) -> BaseSampler:
    """Makes the sampler for trial `number`; `joint` saves time and changes nothing else.

    A name that ends in ".py" is a file of the user's, one of `files` or at that path (see `own_sampler`).

    It is made anew for every trial, seeded by the study's seed and the trial's number, so that what it suggests depends
    on the recorded trials alone: a study that was resumed goes on as if it had never stopped.
    """
    sampler = _made(name, library_seed(seed) if name in ONE_SEQUENCE else sampler_seed(seed, number), files)
    if isinstance(sampler, JointTPESampler):
        sampler.joint = joint
    return sampler
