from dataclasses import replace

import pytest
from optuna.trial import FixedTrial
from tiny import IMAGES, tiny_space, tiny_study

from searchlab import trial as trial_module
from searchlab.model.cost import network_cost
from searchlab.search.samplers import RANDOM_FIRST, SAMPLERS, STARTUP_TRIALS
from searchlab.search.spaces import propose
from searchlab.search.startup import first_trials

STUDY = tiny_study(trials=20, sampler="tpe", seed=3)


def costs(study):
    first = first_trials(study, tiny_space, IMAGES)
    found = [propose(tiny_space, FixedTrial(params), IMAGES, study) for params in first]
    assert len({candidate.id for candidate in found}) == len(found)
    return [network_cost(candidate, IMAGES) for candidate in found]


def test_as_many_as_a_sampler_draws_at_random_the_cheapest_first():
    found = [cost.macs for cost in costs(STUDY)]
    assert len(found) == STARTUP_TRIALS and found == sorted(found) and found[0] < found[-1]
    assert first_trials(STUDY, tiny_space, IMAGES) == first_trials(STUDY, tiny_space, IMAGES)
    assert first_trials(STUDY, tiny_space, IMAGES) != first_trials(replace(STUDY, seed=4), tiny_space, IMAGES)


def test_none_is_over_a_limit():
    free = [cost.params for cost in costs(STUDY)]
    cap = sorted(free)[1]
    capped = [cost.params for cost in costs(replace(STUDY, max_params=cap))]
    assert len(capped) == STARTUP_TRIALS and max(capped) <= cap < max(free)


def test_what_the_study_enqueues_counts_but_not_its_budget():
    known = {"width": 3, "rate": 0.1}
    assert len(costs(replace(STUDY, enqueue=(known, known)))) == STARTUP_TRIALS - 2
    assert costs(replace(STUDY, enqueue=(known,) * 9)) == []
    assert costs(replace(STUDY, enqueue=(known, known), trials=2)) == [], "it does not search"
    assert costs(replace(STUDY, trials=2)) == costs(STUDY), "the budget may be raised later"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_only_samplers_that_begin_at_random_are_begun_for(sampler):
    assert bool(costs(replace(STUDY, sampler=sampler))) == (sampler in RANDOM_FIRST)


def test_a_space_where_hardly_anything_holds_the_limits_is_not_searched_for_ever():
    assert costs(replace(STUDY, max_params=10)) == []


def test_none_is_one_that_cannot_be_built(monkeypatch):
    def picky(candidate, images):
        if candidate.architecture.width % 2:
            raise ValueError("odd")
        return network_cost(candidate, images)

    monkeypatch.setattr(trial_module, "network_cost", picky)
    widths = {params["width"] % 2 for params in first_trials(STUDY, tiny_space, IMAGES)}
    assert widths == {0}
