import sqlite3
import time
from dataclasses import replace
from threading import Event

import pytest
from naive_told import naive_best
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState
from raises import raises_code
from tiny import IMAGES, Seen, made_record, run, tiny_candidate, tiny_space, tiny_study

from searchlab import trial as trial_module
from searchlab.model.cost import network_cost
from searchlab.record import Epoch
from searchlab.search import heartbeat
from searchlab.search import storage as storage_module
from searchlab.search.driver import FAILURES_AT_FIRST, Driver, Problem
from searchlab.search.early_stopping import EARLY_STOPPING
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore
from searchlab.study import RunOptions, Study


def new_store(study: Study, url: str = "") -> StudyStore:
    storage = open_storage(url, create=True) if url else InMemoryStorage()
    return StudyStore.create(Definition(study, study, ""), storage, url or "memory")


def driver_of(study: Study, store: StudyStore | None = None, space=tiny_space, **more) -> Driver:
    """A driver on the store as a new process finds it."""
    store = store or new_store(study)
    fresh = StudyStore.load(study.name, store.optuna._storage, store.url)
    return Driver(Problem(study, space, IMAGES), fresh, RunOptions(), "cpu", more.pop("watch", Seen()), **more)


def states(driver: Driver) -> list[TrialState]:
    return [trial.state for trial in driver.store.trials()]


# -- the budget


def test_as_many_trials_as_asked_for_each_with_its_own_seed_and_folder():
    specs, driver = [], driver_of(tiny_study(trials=4, seed=3))
    run(driver, lambda spec: specs.append(spec) or made_record(spec))
    assert [spec.number for spec in specs] == [0, 1, 2, 3]
    assert len({spec.seed for spec in specs}) == 4
    assert [spec.directory for spec in specs] == [RunOptions().trial_directory("tiny", number) for number in range(4)]
    assert states(driver) == [TrialState.COMPLETE] * 4
    assert driver.ask() is None
    assert [record.number for record in driver.store.records()] == [0, 1, 2, 3]


def test_a_driver_has_one_history_and_hands_it_to_who_looks_on():
    driver = driver_of(tiny_study(trials=2))
    run(driver)
    assert driver.watch.history is driver.history and driver.records == driver.history.records
    assert len(driver.records) == 2


def test_who_looks_on_sees_every_trial_begin_and_end():
    watch = Seen()
    driver = driver_of(tiny_study(trials=2), watch=watch)
    run(driver, lambda spec: driver.on_epoch(spec.number, Epoch(1, 0.5, 0.1)) or made_record(spec))
    first, second = ([("start", n), ("epoch", n, 1), ("end", n, "complete")] for n in range(2))
    assert watch.notes == [("begin", 0), *first, *second]


def test_a_larger_budget_goes_on_from_what_there_is():
    study = tiny_study(trials=2)
    store, watch = new_store(study), Seen()
    run(driver_of(study, store))
    more = replace(study, trials=5)
    assert run(driver_of(more, store, watch=watch)) == [2, 3, 4]
    assert watch.notes[0] == ("begin", 2)


def test_after_the_hours_no_trial_begins_but_what_was_begun_is_finished():
    study = tiny_study(trials=9, hours=1.0)
    store = new_store(study)
    driver_of(study, store).ask()
    late = driver_of(study, store, started=time.monotonic() - 3700)
    assert run(late) == [0]
    assert run(driver_of(study, store), at_most=1) == [1]


def test_nothing_is_asked_once_the_user_wants_an_end():
    stop = Event()
    driver = driver_of(tiny_study(), stop=stop)
    assert driver.ask() is not None
    stop.set()
    assert driver.interrupted() and driver.ask() is None


# -- how trials end


def test_what_is_over_a_limit_is_recorded_and_not_handed_out():
    limit = network_cost(tiny_candidate(5), IMAGES).params
    driver = driver_of(tiny_study(trials=12, max_params=limit))
    given_out = run(driver)
    infeasible = [r for r in driver.store.records() if r.state == "infeasible"]
    assert given_out and infeasible
    assert len(given_out) + len(infeasible) == 12
    assert not set(given_out) & {record.number for record in infeasible}
    for record in infeasible:
        trial = driver.store.trials()[record.number]
        assert record.cost.params > limit
        assert record.excess == {"params": record.cost.params / limit - 1} == trial.constraints
        assert trial.state == TrialState.PRUNED and trial.values is None
        assert "over the limit: params by" in record.reason


@pytest.mark.parametrize(
    ("state", "told"),
    [("complete", TrialState.COMPLETE), ("stopped", TrialState.PRUNED), ("failed", TrialState.FAIL)],
)
def test_a_state_is_told_to_optuna(state, told):
    driver = driver_of(tiny_study(trials=2))
    run(driver, lambda spec: made_record(spec, state if spec.number else "complete"))
    assert states(driver) == [TrialState.COMPLETE, told]
    assert (driver.store.trials()[1].values is None) == (state != "complete")
    assert state == "complete" or {record.number for record, _ in driver.history.front} == {0}


def test_a_trial_found_infeasible_by_its_latency_carries_its_constraint():
    driver = driver_of(tiny_study(trials=1))
    over = {"latency_ms": 0.2}
    run(driver, lambda spec: replace(made_record(spec, "failed"), state="infeasible", excess=over))
    (trial,) = driver.store.trials()
    assert (trial.state, trial.constraints) == (TrialState.PRUNED, over)


def failing(spec):
    return made_record(spec, "failed")


def test_a_candidate_that_cannot_be_built_is_a_failed_record_and_the_next_is_asked_for(monkeypatch):
    def picky(candidate, images):
        if candidate.architecture.width % 2:
            raise ValueError("no odd widths")
        return network_cost(candidate, images)

    monkeypatch.setattr(trial_module, "network_cost", picky)
    driver = driver_of(tiny_study(trials=12))
    given_out = run(driver)
    broken = [record for record in driver.records if record.state == "failed"]
    assert given_out and broken and len(given_out) + len(broken) == 12
    for record in broken:
        assert record.candidate.architecture.width % 2 and record.reason.startswith("ValueError: no odd widths (")
        assert driver.store.trials()[record.number].state == TrialState.FAIL


def test_a_study_whose_first_trials_all_fail_ends_with_their_reason():
    driver = driver_of(tiny_study(trials=20))
    with raises_code("all-trials-failed", where="study tiny"):
        run(driver, failing)
    assert states(driver) == [TrialState.FAIL] * FAILURES_AT_FIRST


def test_infeasible_trials_between_do_not_hide_that_all_others_fail():
    limit = network_cost(tiny_candidate(3), IMAGES).params
    driver = driver_of(tiny_study(trials=60, max_params=limit))
    with raises_code("all-trials-failed", where="study tiny"):
        run(driver, failing)
    assert states(driver).count(TrialState.PRUNED) > 0


def test_one_trial_that_did_not_fail_keeps_a_study_going():
    driver = driver_of(tiny_study(trials=8))
    run(driver, lambda spec: made_record(spec, "complete" if spec.number == 2 else "failed"))
    assert states(driver).count(TrialState.FAIL) == 7


def test_a_study_that_failed_can_be_tried_again():
    study = tiny_study(trials=6)
    store = new_store(study)
    with raises_code("all-trials-failed", where="study tiny"):
        run(driver_of(study, store), failing)
    assert run(driver_of(study, store)) == [3, 4, 5]


# -- early stopping


def test_the_rule_sees_what_other_trials_showed_at_the_same_rung(monkeypatch):
    seen = []

    def rule(shown, objectives):
        assert objectives == tiny_study().objectives
        seen.append([(-100 * values_PM[:, 0]).round().tolist() for values_PM in shown])
        return len(shown) == 1

    monkeypatch.setitem(EARLY_STOPPING, "seen", rule)
    driver = driver_of(tiny_study(early_stopping="seen", epochs=4, rungs=(1, 2)))
    frontiers = [made_record(driver.ask(), correct=(50 + number,)).frontier for number in range(3)]
    answers = [driver.on_rung(number, 1, frontiers[number]) for number in range(3)]
    driver.on_rung(0, 2, frontiers[0])
    assert answers == [True, False, False]
    assert seen == [[[50]], [[50], [51]], [[50], [51], [52]], [[50]]]


# -- a driver that died


def test_a_trial_that_was_begun_runs_again_under_its_number_as_it_was():
    study = tiny_study(trials=3)
    store = new_store(study)
    died = driver_of(study, store)
    run(died, at_most=1)
    lost = died.ask()
    again = driver_of(study, store)
    spec = again.ask()
    assert (spec.number, spec.candidate, spec.seed) == (1, lost.candidate, lost.seed)
    again.tell(made_record(spec))
    assert run(again) == [2]
    assert states(again) == [TrialState.COMPLETE] * 3


def test_several_that_were_begun_all_run_again_before_anything_new():
    study = tiny_study(trials=5)
    store = new_store(study)
    died = driver_of(study, store)
    lost = [died.ask().number for _ in range(3)]
    assert run(driver_of(study, store)) == [*lost, 3, 4]


def test_a_driver_may_die_before_it_knew_what_to_train(monkeypatch):
    monkeypatch.setattr(heartbeat, "UNSIGNED_S", 0.0)
    study = tiny_study(trials=2)
    store = new_store(study)
    store.optuna.ask().suggest_int("width", 2, 8)
    assert run(driver_of(study, store)) == [0, 1]


def test_a_record_that_was_written_but_not_told_is_not_trained_again():
    study = tiny_study(trials=3)
    store = new_store(study)
    died = driver_of(study, store)
    run(died, at_most=1)
    record = made_record(died.ask(), correct=(70, 90))
    died.running[1].set_user_attr("record", store.codec.stored(record))
    again = driver_of(study, store)
    assert run(again) == [2]
    assert again.store.records()[1] == record
    expected = naive_best(study, record, again.store.records()[:1])
    assert again.store.trials()[1].values == pytest.approx(expected)


def test_a_trial_that_was_begun_is_the_same_although_the_space_has_changed():
    study = tiny_study(trials=1)
    store = new_store(study)
    lost = driver_of(study, store).ask()

    def other_space(choose):
        return tiny_candidate(choose.suggest_categorical("width", [20, 30]))

    assert driver_of(study, store, space=other_space).ask().candidate == lost.candidate


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "qmc"])
@pytest.mark.parametrize("died_in", [0, 5, 13])
def test_a_resumed_study_tries_what_an_uninterrupted_one_would(sampler, died_in):
    study = tiny_study(trials=15, sampler=sampler)
    whole, store = driver_of(study), new_store(study)
    run(whole)
    died = driver_of(study, store)
    run(died, at_most=died_in)
    died.ask()
    run(driver_of(study, store))
    candidates = [record.candidate for record in store.records()]
    assert candidates == [record.candidate for record in whole.store.records()]


# -- the store while it is used


def test_a_store_that_is_locked_in_the_middle_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(storage_module, "WAITS_FOR_LOCK_S", 0.05)
    # Optuna tries several times, seconds apart.
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    study = tiny_study()
    driver = driver_of(study, new_store(study, url))
    spec = driver.ask()
    with sqlite3.connect(tmp_path / "studies.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        for step in (driver.ask, lambda: driver.tell(made_record(spec))):
            with raises_code("store-unusable"):
                step()
        other.execute("ROLLBACK")
    assert run(driver_of(study, driver.store)) == [0, 1, 2, 3]


def test_a_store_that_is_locked_while_a_space_suggests_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(storage_module, "WAITS_FOR_LOCK_S", 0.05)
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    study = tiny_study()
    other = None

    def space(choose):
        nonlocal other
        choose.suggest_int("width", 2, 8)
        other = sqlite3.connect(tmp_path / "studies.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        return tiny_candidate(4, learning_rate=choose.suggest_float("rate", 0.05, 0.2))

    with raises_code("store-unusable", mentions="locked"):
        driver_of(study, new_store(study, url), space=space).ask()
    other.close()


# -- several trials at a time


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_trials_that_run_count_into_the_budget_and_no_two_are_the_same(sampler):
    driver = driver_of(tiny_study(trials=14, sampler=sampler))
    run(driver, at_most=10)
    specs = [driver.ask() for _ in range(4)]
    assert driver.ask() is None
    assert len({spec.candidate.id for spec in specs}) == 4
    for spec in reversed(specs):
        driver.tell(made_record(spec))
    assert driver.ask() is None
    assert [record.number for record in driver.store.records()] == list(range(14))
    assert states(driver) == [TrialState.COMPLETE] * 14


def test_a_later_driver_is_told_where_a_trial_can_be_taken_up():
    study = tiny_study(trials=2)
    driver = driver_of(study)
    first, second = driver.ask(), driver.ask()
    assert (first.checkpoint, second.checkpoint) == ("", "")
    driver.on_checkpoint(second.number, "s3://bucket/rung-1")
    driver.on_checkpoint(second.number, "s3://bucket/rung-2")
    later = driver_of(study, driver.store)
    assert [later.ask().checkpoint for _ in range(2)] == ["", "s3://bucket/rung-2"]
