"""What was tried before is not trained again: the sampler is told what is known of it."""

from dataclasses import replace

import pytest
from optuna.trial import TrialState
from test_driver import driver_of, new_store
from tiny import made_record, run, tiny_candidate, tiny_study

from searchlab.model.cost import network_cost
from searchlab.search.driver import REPEATS


def narrow_space(choose):
    """Three networks in all."""
    return tiny_candidate(choose.suggest_int("width", 2, 4))


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_every_network_is_trained_once_and_then_the_study_ends(sampler):
    driver = driver_of(tiny_study(trials=50, sampler=sampler), space=narrow_space)
    run(driver)
    assert sorted(record.candidate.architecture.width for record in driver.store.records()) == [2, 3, 4]
    assert driver.ended_by == f"each of the last {REPEATS} proposals repeats an earlier trial"


def test_of_a_repeated_network_the_sampler_is_told_what_the_first_one_was_told():
    limit = network_cost(tiny_candidate(3), driver_of(tiny_study()).problem.images).params
    driver = driver_of(tiny_study(trials=50, max_params=limit), space=narrow_space)
    run(driver, lambda spec: made_record(spec, "complete" if spec.number == 0 else "stopped"))
    trials = driver.store.trials()
    repeated = [trial for trial in trials if "repeats" in trial.user_attrs]
    first = {trial.params["width"]: trial for trial in reversed(trials) if trial not in repeated}
    assert len(first) == 3 and len(repeated) >= REPEATS
    for trial in repeated:
        twin = first[trial.params["width"]]
        assert trial.user_attrs["repeats"] == twin.number and "record" not in trial.user_attrs
        assert (trial.state, trial.values, trial.constraints) == (twin.state, twin.values, twin.constraints)
    assert {trial.state for trial in repeated} == {TrialState.COMPLETE, TrialState.PRUNED}


def test_repeats_are_no_trials_of_the_budget_and_are_known_after_a_resume():
    study = tiny_study(trials=2)
    store = new_store(study)
    run(driver_of(study, store, space=narrow_space))
    more = driver_of(replace(study, trials=3), store, space=narrow_space)
    run(more)
    assert len({record.candidate.id for record in store.records()}) == 3 == len(more.records)


def test_a_network_that_failed_may_be_tried_again_and_what_is_enqueued_always_is():
    study = tiny_study(trials=7, enqueue=({"width": 3},) * 3)
    store = new_store(study)
    for known in study.enqueue.values():
        store.optuna.enqueue_trial(known)
    driver = driver_of(study, store, space=narrow_space)
    run(driver, lambda spec: made_record(spec, "complete" if spec.number < 3 else "failed"))
    widths = [record.candidate.architecture.width for record in driver.records]
    assert widths[:3] == [3, 3, 3] and len(widths) == 7 and 3 not in widths[3:]
