"""Any integer that is not negative is a seed, wherever something is seeded."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import InMemoryStorage
from tiny import IMAGES, Seen, run, tiny_space, tiny_study

from searchlab.data.batches import seeded_generator
from searchlab.data.partitions import induced_by_confusion
from searchlab.search.driver import Driver, Problem
from searchlab.search.samplers import SAMPLERS
from searchlab.search.spaces import check_heads, check_limits
from searchlab.search.startup import first_trials
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore
from searchlab.search.warm_start import distributions_of
from searchlab.seeds import library_seed, replicate_seed, sampler_seed, torch_seed, trial_seed
from searchlab.study import RunOptions

LARGE = [4295, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64, 99_999_999_999, 10**40, 10**4000]
PAST_STARTUP = {"tpe": 7, "gp": 7, "nsga2": 22, "random": 2, "qmc": 3}
"""Enough trials for a sampler to have left its random start."""


@given(st.integers(0), st.integers(0, 10**6))
def test_every_seed_is_in_the_range_of_what_takes_it(seed, number):
    assert 0 <= library_seed(seed) < 2**32 and 0 <= sampler_seed(seed, number) < 2**32
    for found in (trial_seed(seed, number), replicate_seed(seed, number), torch_seed(seed)):
        assert 0 <= found < 2**63


@given(st.integers(0, 4294), st.integers(0, 10_000))
def test_small_seeds_are_as_they_were_so_that_old_studies_go_on(seed, number):
    assert sampler_seed(seed, number) == seed * 1_000_003 + number
    assert trial_seed(seed, number) == seed * 100_003 + number
    assert replicate_seed(trial_seed(seed, number), 2) == trial_seed(seed, number) + 2 * 10_000_019
    assert library_seed(seed) == torch_seed(seed) == seed


@pytest.mark.parametrize("derived", [library_seed, torch_seed, lambda seed: sampler_seed(seed, 3)])
def test_seeds_that_differ_by_a_power_of_two_begin_different_numbers(derived):
    assert len({derived(seed) for seed in (5, 5 + 2**32, 5 + 2**63, 5 + 2**64)}) == 4


@pytest.mark.parametrize("seed", LARGE, ids=lambda seed: f"{seed:.0e}" if seed < 10**300 else "4,001 digits")
def test_no_seed_is_too_large_for_what_is_drawn_before_a_search(seed):
    study = tiny_study(seed=seed, sampler="tpe", max_params=10**9, enqueue=({"width": 3},))
    assert len(first_trials(study, tiny_space, IMAGES)) == 4
    assert distributions_of(tiny_space, IMAGES, study).keys() == {"width", "rate"}
    check_heads(tiny_space, IMAGES, study)
    check_limits(tiny_space, IMAGES, study)


def test_no_seed_is_too_large_for_torch_and_scikit_learn():
    confusion_CC = np.random.default_rng(0).integers(0, 9, (6, 6))
    for seed in LARGE:
        torch.Generator().manual_seed(torch_seed(seed))
        seeded_generator("cpu", seed, "coins")
        assert len(induced_by_confusion(confusion_CC, 2, seed)) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seed"), [*((name, 10**40) for name in SAMPLERS), ("random", 4295), ("tpe", 4295), ("qmc", 2**32)]
)
def test_a_study_with_a_large_seed_is_searched_stored_and_resumed(name, seed, tmp_path):
    """To the trials that the sampler's model proposes; the second half by a process that reads the store."""
    study = tiny_study(seed=seed, sampler=name, trials=PAST_STARTUP[name] + 1)
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    store = StudyStore.create(Definition(study, study, ""), open_storage(url, create=True), url)
    whole = StudyStore.create(Definition(study, study, ""), InMemoryStorage(), "memory")
    run(_driver(store), at_most=PAST_STARTUP[name] - 1)
    assert run(_driver(StudyStore.load("tiny", open_storage(url, create=False), url)))
    run(_driver(whole))
    assert store.definition.study.seed == seed
    assert store.records() == whole.records()
    assert len({record.seed for record in store.records()}) == study.trials


def _driver(store: StudyStore) -> Driver:
    return Driver(Problem(store.definition.study, tiny_space, IMAGES), store, RunOptions(), "cpu", Seen())
