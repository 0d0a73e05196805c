"""What ends a study, on histories made by hand, and through the driver with made-up trials."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import InMemoryStorage
from tiny import IMAGES, Seen, made_record, run, tiny_candidate, tiny_space, tiny_study

from searchlab.front.history import SearchHistory
from searchlab.search import budget
from searchlab.search.budget import BUDGET_RULES, Spent, reason_to_end, stalled_for
from searchlab.search.driver import Driver, Problem
from searchlab.search.store import Definition, StudyStore
from searchlab.study import DEFAULT_TRIALS, OTHER_BUDGETS, RunOptions, Study, TrialSpec


def spent_on(study: Study, *trials, running: int = 0, hours: float = 0.0) -> Spent:
    """`trials` are (epochs, how many of 100 are right); none right is a trial that failed."""
    records = []
    for number, (epochs, correct) in enumerate(trials):
        spec = TrialSpec(number, tiny_candidate(4), study)
        record = made_record(spec, correct=(correct,)) if correct else made_record(spec, "failed")
        records.append(replace(record, epochs=epochs))
    return Spent(SearchHistory(study, records), running, hours)


def unlimited(**fields) -> Study:
    return tiny_study(trials=None, **fields)


# -- each limit


def test_trials_that_run_count_as_trials():
    study = tiny_study(trials=3)
    assert reason_to_end(study, spent_on(study, (2, 50), running=1)) is None
    assert reason_to_end(study, spent_on(study, (2, 50), running=2)) == "3 of 3 trials"


def test_hours():
    study = unlimited(hours=1.5)
    assert reason_to_end(study, spent_on(study, hours=1.4)) is None
    assert reason_to_end(study, spent_on(study, hours=1.5)) == "1.5 h have passed"


def test_epochs_of_stopped_and_failed_trials_count_and_running_ones_in_full():
    study = unlimited(epochs=10, epochs_total=24)
    trials = [(10, 50), (3, 50), (1, 0)]
    assert reason_to_end(study, spent_on(study, *trials)) is None
    assert reason_to_end(study, spent_on(study, *trials, running=1)) == "14 of 24 epochs are trained"
    assert reason_to_end(study, spent_on(study, *trials, (10, 50))) == "24 of 24 epochs are trained"


def test_a_study_that_nothing_limits_has_the_default_number_of_trials():
    assert tiny_study(trials=None).most_trials == DEFAULT_TRIALS and tiny_study(trials=7).most_trials == 7
    for name in OTHER_BUDGETS:
        assert tiny_study(trials=None, **{name: 3}).most_trials is None
        assert tiny_study(trials=7, **{name: 3}).most_trials == 7


def test_a_study_without_a_limit_on_trials_ends_where_none_can_be_trained(monkeypatch):
    monkeypatch.setattr(budget, "UNTRAINED", 3)
    study = unlimited(epochs_total=100)
    reason = "none of the last 3 trials could be trained (the loss is nan in epoch 1: the training diverged)"
    assert reason_to_end(study, spent_on(study, (2, 50), (0, 0), (0, 0), (0, 0))) == reason
    assert reason_to_end(study, spent_on(study, (0, 0), (2, 50), (0, 0), (0, 0))) is None
    limited = tiny_study(trials=9)
    assert reason_to_end(limited, spent_on(limited, (0, 0), (0, 0), (0, 0))) is None


def test_of_two_limits_that_are_reached_one_is_named():
    study = tiny_study(trials=2, hours=1.0, epochs_total=1, until_stalled=1)
    spent = spent_on(study, (2, 50), (2, 50), hours=2.0)
    assert reason_to_end(study, spent) == "2 of 2 trials"
    assert sum(rule(study, spent) is not None for rule in BUDGET_RULES) == 4


# -- stalled


@pytest.mark.parametrize(
    ("volumes", "noise", "expected"),
    [
        ([], 0.1, 0),
        ([0.5], 0.1, 0),
        ([0.0, 0.0], 0.1, 2),
        ([0.5, 0.5, 0.5], 0.0, 2),
        ([0.5, 0.55, 0.6], 0.1, 2),
        ([0.5, 0.55, 0.61], 0.1, 1),
        ([0.5, 0.61, 0.61, 0.7], 0.1, 2),
    ],
)
def test_how_long_a_study_has_stalled(volumes, noise, expected):
    assert stalled_for(volumes, noise) == expected


@given(st.lists(st.floats(0, 1), max_size=12).map(sorted), st.floats(0, 0.3))
def test_it_has_stalled_for_the_longest_window_that_added_no_more_than_noise(volumes, noise):
    windows = range(1, len(volumes) + 1)
    padded = [0.0, *volumes]
    quiet = [w for w in windows if padded[-1] - padded[-1 - w] <= noise + budget.ROUNDING]
    assert stalled_for(volumes, noise) == max(quiet, default=0)


def test_growth_within_noise_is_none_and_a_slow_climb_is_growth():
    study = unlimited(until_stalled=3)
    # One of a hundred more is less than a standard error of 4.6 in all three together; six are more.
    assert reason_to_end(study, spent_on(study, (2, 30), (2, 31), (2, 32))) is None
    said = reason_to_end(study, spent_on(study, (2, 30), (2, 31), (2, 32), (2, 33)))
    assert said.startswith("stalled: the last 3 trained trials added 0.0150 to the hypervolume, whose standard")
    assert reason_to_end(study, spent_on(study, (2, 30), (2, 32), (2, 34), (2, 36))) is None


def test_trials_that_were_not_trained_neither_stall_nor_grow():
    study = unlimited(until_stalled=2)
    assert reason_to_end(study, spent_on(study, (2, 50), (2, 50), (0, 0), (0, 0))) is None
    assert reason_to_end(study, spent_on(study, (2, 50), (2, 50), (0, 0), (1, 0))) is not None


def test_a_stalled_study_without_a_front_says_so():
    study = unlimited(until_stalled=2, min_accuracy=0.9)
    said = "stalled: the last 2 trained trials added no point to the front"
    assert reason_to_end(study, spent_on(study, (2, 50), (2, 60))) == said
    one = replace(study, until_stalled=1)
    assert reason_to_end(one, spent_on(one, (2, 5))).startswith("stalled: the last trained trial added")


# -- through the driver


def store_of(study: Study) -> StudyStore:
    return StudyStore.create(Definition(study, study, ""), InMemoryStorage(), "memory")


def driver_on(study: Study, store: StudyStore, **more) -> Driver:
    """A driver as a new process makes it."""
    fresh = StudyStore.load(study.name, store.storage, store.url)
    return Driver(Problem(study, tiny_space, IMAGES), fresh, RunOptions(), "cpu", Seen(), **more)


def outcome(spec: TrialSpec):
    """Ten epochs; every third trial is stopped after three, every fifth fails in its first."""
    if spec.number % 5 == 4:
        return replace(made_record(spec, "failed"), epochs=1)
    if spec.number % 3 == 2:
        return replace(made_record(spec, "stopped"), epochs=3)
    return replace(made_record(spec, correct=(60, 60 + spec.number)), epochs=10)


@pytest.mark.parametrize("total", [1, 10, 11, 20, 24, 25])
def test_a_trial_begins_while_fewer_epochs_are_spent(total):
    study = unlimited(epochs=10, epochs_total=total)
    driver = driver_on(study, store_of(study))
    run(driver, outcome)
    used = [record.epochs for record in driver.records]
    assert sum(used[:-1]) < total <= sum(used)
    assert driver.history.last.epochs == sum(used)
    assert driver.ended_by == f"{sum(used)} of {total} epochs are trained"


def test_the_driver_says_why_it_ended_and_nothing_before():
    study = tiny_study(trials=2)
    driver = driver_on(study, store_of(study))
    run(driver, at_most=2)
    assert driver.ended_by == ""
    assert driver.ask() is None and driver.ended_by == "2 of 2 trials"
    late = driver_on(replace(study, trials=None, hours=1.0), store_of(study), started=time.monotonic() - 3700)
    assert run(late) == [] and late.ended_by == "1 h have passed"


@pytest.mark.parametrize("limit", [{"epochs_total": 60}, {"until_stalled": 4}])
@pytest.mark.parametrize("died_after", [0, 1, 4])
def test_a_resumed_study_ends_where_an_uninterrupted_one_does(limit, died_after):
    study = unlimited(epochs=10, **limit)
    whole, store = driver_on(study, store_of(study)), store_of(study)
    run(whole, outcome)
    died = driver_on(study, store)
    run(died, outcome, at_most=died_after)
    died.ask()
    resumed = driver_on(study, store)
    run(resumed, outcome)
    assert len(resumed.records) > died_after + 1
    assert (resumed.ended_by, resumed.history.steps) == (whole.ended_by, whole.history.steps)
    assert SearchHistory(study, store.ended()).steps == whole.history.steps
    assert run(driver_on(study, store), outcome) == []


def test_steps_are_in_the_order_in_which_trials_ended():
    study = tiny_study(trials=3)
    store = store_of(study)
    driver = driver_on(study, store)
    specs = [driver.ask() for _ in range(3)]
    for number in (2, 0, 1):
        driver.tell(made_record(specs[number], correct=(50 + number,)))
    assert [step.record.number for step in driver.history.steps] == [2, 0, 1]
    again = driver_on(study, store)
    assert [record.number for record in again.records] == [2, 0, 1]
    assert again.history.steps == driver.history.steps
