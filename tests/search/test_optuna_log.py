"""Nothing that Optuna says by itself reaches who runs a search, whoever imported it first."""

import logging
import warnings

import optuna
import pytest
from test_driver import driver_of
from tiny import IMAGES, run, tiny_candidate, tiny_study

from searchlab.search.definition import Definition
from searchlab.search.optuna_log import quieten
from searchlab.search.spaces import check_heads, check_limits
from searchlab.search.startup import enqueue_missing
from searchlab.search.storage import open_storage
from searchlab.search.store import StudyStore
from searchlab.search.warm_start import distributions_of


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


@pytest.fixture
def said():
    """What Optuna logs, from its own level on, as where it was only just imported."""
    logger, before, handler = logging.getLogger("optuna"), optuna.logging.get_verbosity(), Lines()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    logger.addHandler(handler)
    yield handler.lines
    logger.removeHandler(handler)
    optuna.logging.set_verbosity(before)


def conditional_space(choose):
    """A parameter that not every trial has: Optuna would warn at each that it is sampled by itself."""
    width = choose.suggest_int("width", 2, 9)
    rate = choose.suggest_float("rate", 0.05, 0.2) if width % 2 else 0.1
    return tiny_candidate(width, learning_rate=rate)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_optuna_says_nothing_during_a_search(sampler, said, tmp_path):
    study = tiny_study(trials=8, sampler=sampler, max_params=10**9, enqueue=({"width": 20},))
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_heads(conditional_space, IMAGES, study)
        check_limits(conditional_space, IMAGES, study)
        distributions_of(conditional_space, IMAGES, study)
        store = StudyStore.create(Definition(study, study, ""), open_storage(url, create=True), url)
        enqueue_missing(store, study, conditional_space, IMAGES)
        run(driver_of(study, store, space=conditional_space))
        store.companion(create=True)
    assert len(store.records()) == 8 and said == []


def test_a_program_that_asked_optuna_for_more_gets_it(said):
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    quieten()
    assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
