import random
import warnings

import numpy as np
import optuna
import pytest
import torch
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState
from raises import raises_code

from searchlab.search.samplers import SAMPLERS, check_sampler, sampler_for

PAST_STARTUP = {"tpe": 16, "gp": 14, "nsga2": 23, "random": 4, "qmc": 6}
"""Enough trials for a sampler to have left its random start; others begin as they go on."""


EVERY = [pytest.param(name, marks=[pytest.mark.slow] * (name == "gp")) for name in SAMPLERS]
"""Every sampler; the Gaussian process takes seconds."""


def search(name: str, *, objectives: int = 2, count: int, seed: int = 1, new_process_at: int = -1) -> list[dict]:
    """What a sampler suggests trial after trial, some of them told as infeasible, stopped or failed."""
    storage, directions = InMemoryStorage(), ["maximize", "minimize", "minimize"][:objectives]
    study = optuna.create_study(storage=storage, study_name="s", directions=directions)
    suggested = []
    for number in range(count):
        if number == new_process_at:
            study = optuna.load_study(storage=storage, study_name="s")
            for module in (random, np.random):
                module.seed(number)
            torch.manual_seed(number)
        study.sampler = sampler_for(name, seed, number)
        trial = study.ask()
        width, rate = trial.suggest_int("width", 1, 40), trial.suggest_float("rate", 0.01, 1, log=True)
        kind = trial.suggest_categorical("kind", ["a", "b"])
        values = [1 - 1 / width - (rate - 0.3) ** 2, width**2 / 1600, width + (kind == "b")]
        if width > 36:
            trial.set_constraint("params", width / 36 - 1)
            study.tell(trial, state=TrialState.PRUNED)
        elif number % 5 == 3:
            study.tell(trial, state=TrialState.PRUNED if number % 2 else TrialState.FAIL)
        else:
            study.tell(trial, values[:objectives])
        suggested.append(trial.params)
    return suggested


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("objectives", [2, 3])
def test_every_sampler_suggests_within_the_space_and_without_a_warning(name, objectives):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        suggested = search(name, objectives=objectives, count=PAST_STARTUP.get(name, 6))
    assert all(1 <= s["width"] <= 40 and 0.01 <= s["rate"] <= 1 and s["kind"] in "ab" for s in suggested)
    assert len({s["rate"] for s in suggested}) == len(suggested)


@pytest.mark.parametrize("name", EVERY)
def test_seed_number_and_records_decide(name):
    count = PAST_STARTUP.get(name, 6)
    first = search(name, count=count)
    assert first == search(name, count=count, new_process_at=count - 2)
    assert first != search(name, count=count, seed=2)


def test_an_unknown_name_is_refused():
    known = ", ".join(sorted(SAMPLERS))
    refused = raises_code("unknown-sampler", where="Study.sampler", value="bayes", mentions=[f"known: {known};", ".py"])
    for function in (check_sampler, lambda name: sampler_for(name, 0, 0)):
        with refused:
            function("bayes")
