"""What a driver tells the sampler of a trial, and the front that it keeps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_told import naive_best
from property_tests import examples
from test_driver import driver_of, new_store
from tiny import made_record, run, tiny_study


@examples(25)
@given(
    names=st.sampled_from([("accuracy", "macs"), ("macs", "accuracy"), ("accuracy", "macs", "params")]),
    frontiers=st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=5).map(tuple), min_size=1, max_size=5),
    cap=st.sampled_from([None, 40_000]),
)
def test_a_complete_trial_is_told_as_the_point_that_adds_most_to_the_front(names, frontiers, cap):
    study = tiny_study(*names, trials=len(frontiers), max_params=cap)
    driver = driver_of(study)
    run(driver, lambda spec: made_record(spec, correct=frontiers[spec.number]))
    records = driver.store.records()
    for number, trial in enumerate(driver.store.trials()):
        assert trial.values == pytest.approx(naive_best(study, records[number], records[:number]))


def test_a_trial_that_adds_nothing_is_told_as_its_point_nearest_to_the_front():
    """A network of 97 % was told as its cheapest exit's 20 %, as both add the same nothing."""
    study = tiny_study(trials=2, enqueue=({"width": 4, "rate": 0.1},) * 2)
    store = new_store(study)
    for known in study.enqueue.values():
        store.optuna.enqueue_trial(known)
    run(driver_of(study, store), lambda spec: made_record(spec, correct=(60, 98) if spec.number == 0 else (20, 97)))
    first, second = store.trials()
    assert [first.values[0], second.values[0]] == [0.98, 0.97]


def test_a_trial_of_no_interest_to_the_front_is_told_as_its_most_accurate_point():
    study = tiny_study(trials=2, min_accuracy=0.7)
    driver = driver_of(study)
    run(driver, lambda spec: made_record(spec, correct=(65, 80) if spec.number == 0 else (10, 50, 30)))
    assert [trial.values[0] for trial in driver.store.trials()] == [0.8, 0.5]


def test_points_that_are_not_accurate_enough_are_no_part_of_the_front():
    driver = driver_of(tiny_study(trials=1, min_accuracy=0.7))
    run(driver, lambda spec: made_record(spec, correct=(60, 80)))
    assert [point.correct for _, point in driver.history.front] == [80]


def test_hypervolume_is_that_of_the_front_and_grows():
    driver = driver_of(tiny_study(trials=3))
    volumes = [driver.history.hypervolume]
    while run(driver, at_most=1):
        volumes.append(driver.history.hypervolume)
    assert volumes[0] == 0.0 and volumes == sorted(volumes) and volumes[1] > 0
