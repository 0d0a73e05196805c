"""Silences Optuna's log and warnings: the command line reports to users itself."""

import warnings

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import RandomSampler

from searchlab.seeds import library_seed


def quieten() -> None:
    """Lets Optuna log errors only, unless the calling program has set another level.

    Call it before every use of Optuna that may log, because a later import of Optuna resets the level.
    """
    if optuna.logging.get_verbosity() == optuna.logging.INFO:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=ExperimentalWarning)
    # Enqueued configurations may lie outside the searched ranges.
    warnings.filterwarnings("ignore", message="Fixed parameter", category=UserWarning)


def scratch_study(seed: int) -> optuna.Study:
    """Makes an in-memory study with a random sampler."""
    quieten()
    return optuna.create_study(sampler=RandomSampler(seed=library_seed(seed)))
