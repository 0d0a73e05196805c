"""Optuna without its own log lines and warnings: whatever is said to users, the command line says."""

import warnings

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import RandomSampler

from searchlab.seeds import library_seed


def quieten() -> None:
    """Has Optuna log errors alone, unless a program asked it for more or less than it logs by itself.

    Called before every use of Optuna that may log: its import sets the level, and may come late.
    """
    if optuna.logging.get_verbosity() == optuna.logging.INFO:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=ExperimentalWarning)
    # What a study enqueues may lie outside the ranges that are searched.
    warnings.filterwarnings("ignore", message="Fixed parameter", category=UserWarning)


def scratch_study(seed: int) -> optuna.Study:
    """A study in memory, to look at what a space suggests at random."""
    quieten()
    return optuna.create_study(sampler=RandomSampler(seed=library_seed(seed)))
