"""Rows belong to trials by name: each is enqueued and trained once, whenever and however often a process died."""

from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState
from test_driver import driver_of, new_store
from tiny import IMAGES, made_record, run, tiny_space, tiny_study

from searchlab.papers.paper import Finished
from searchlab.search.definition import Definition
from searchlab.search.enqueued import MARK
from searchlab.search.startup import enqueue_missing
from searchlab.search.store import StudyStore

ROWS = {"narrow": 2, "wide": 8, "odd": 5}
ENQUEUE = {row: {"width": width, "rate": 0.1} for row, width in ROWS.items()}
STUDY = tiny_study(trials=7, sampler="tpe", enqueue=ENQUEUE)


class Killed(BaseException):
    """The process ends here."""


def enqueue(study, store):
    enqueue_missing(store, study, tiny_space, IMAGES)


def widths_by_row(store) -> dict[str, int]:
    named = [(record.row, record.candidate.architecture.width) for record in store.records() if record.row]
    assert len(dict(named)) == len(named), "a row was trained twice"
    return dict(named)


def killed_after(enqueued: int, monkeypatch, study=STUDY) -> StudyStore:
    """A store whose process died when so many trials were enqueued."""
    store, before, left = new_store(study), optuna.Study.enqueue_trial, [enqueued]

    def dies(self, *args, **more):
        if not left[0]:
            raise Killed
        left[0] -= 1
        before(self, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "enqueue_trial", dies)
        with pytest.raises(Killed):
            enqueue(study, store)
    assert len(store.trials()) == enqueued
    return store


@pytest.mark.parametrize("enqueued", range(5))
def test_a_study_killed_while_it_enqueues_trains_every_row_once_and_what_it_would_have(enqueued, monkeypatch):
    whole, store = new_store(STUDY), killed_after(enqueued, monkeypatch)
    for each in (whole, store):
        enqueue(STUDY, each)
        enqueue(STUDY, each)
        run(driver_of(STUDY, each))
    assert widths_by_row(store) == ROWS
    assert store.records() == whole.records() and len(store.records()) == 7


def test_a_row_that_was_added_later_is_trained_and_no_sampled_network_has_its_name():
    store = new_store(STUDY)
    enqueue(STUDY, store)
    run(driver_of(STUDY, store))
    more = replace(STUDY, trials=8, enqueue={"new": {"width": 7, "rate": 0.2}} | ENQUEUE)
    enqueue(more, store)
    assert run(driver_of(more, store)) == [7]
    assert widths_by_row(store) == {"new": 7, **ROWS}
    assert Finished(more, tuple(store.records())).trial("new").number == 7
    assert Finished(more, tuple(store.records())).trial("narrow").number == 0


def test_a_row_whose_parameters_were_changed_is_trained_again_and_tables_show_the_new_one():
    store = new_store(STUDY)
    enqueue(STUDY, store)
    run(driver_of(STUDY, store))
    changed = replace(STUDY, trials=8, enqueue=ENQUEUE | {"narrow": {"width": 3, "rate": 0.1}})
    enqueue(changed, store)
    assert run(driver_of(changed, store)) == [7]
    assert Finished(changed, tuple(store.records())).trial("narrow").candidate.architecture.width == 3


def test_equal_configurations_without_names_are_each_trained_once():
    study = replace(STUDY, trials=3, sampler="random", enqueue=({"width": 3, "rate": 0.1},) * 3)
    store = new_store(study)
    enqueue(study, store)
    enqueue(study, store)
    assert run(driver_of(study, store)) == [0, 1, 2]
    assert {record.candidate.architecture.width for record in store.records()} == {3}


def test_random_trials_are_not_drawn_again_once_the_sampler_has_suggested():
    study = tiny_study(trials=3, sampler="random")
    store = new_store(study)
    run(driver_of(study, store))
    enqueue(replace(study, sampler="tpe"), store)
    assert len(store.trials()) == 3


def test_what_two_drivers_enqueue_at_the_same_moment_is_trained_once():
    store = new_store(STUDY)
    enqueue(STUDY, store)
    twin = new_store(STUDY)
    enqueue(STUDY, twin)
    for trial in twin.trials():
        store.optuna.add_trial(trial)
    first, second = driver_of(STUDY, store), driver_of(STUDY, store)
    for _ in range(3):
        for driver in (first, second):
            if (spec := driver.ask()) is not None:
                driver.tell(made_record(spec))
    run(first)
    assert widths_by_row(store) == ROWS and len(store.records()) == 7
    left_out = [trial for trial in store.trials() if "repeats" in trial.user_attrs and MARK in trial.user_attrs]
    assert len(left_out) == 5 and {trial.state for trial in left_out} == {TrialState.FAIL}


@pytest.mark.slow
def test_the_row_is_in_the_record_the_spec_and_the_store():
    study = replace(STUDY, max_params=1)
    store = new_store(study)
    enqueue(study, store)
    specs, driver = [], driver_of(STUDY, store)
    run(driver, lambda spec: specs.append(spec) or made_record(spec), at_most=2)
    assert [spec.row for spec in specs] == ["narrow", "wide"]
    driver_of(study, store).ask()
    assert [record.row for record in store.records()][:3] == ["narrow", "wide", "odd"]
    assert store.records()[2].state == "infeasible"
    assert [trial.user_attrs["row"] for trial in store.trials()[:3]] == list(ROWS)


# -- stores of earlier versions, whose trials have no marks


def old_store(enqueued: int) -> StudyStore:
    store = new_store(STUDY)
    for known in list(ENQUEUE.values())[:enqueued]:
        store.optuna.enqueue_trial(known)
    return store


def without_rows(record):
    return replace(made_record(record), row="")


def test_rows_of_an_old_store_are_known_by_what_was_enqueued():
    store = old_store(3)
    run(driver_of(STUDY, store), without_rows, at_most=2)
    lost = driver_of(STUDY, store).ask()
    assert lost.row == "odd"
    assert [record.row for record in store.records()] == list(ROWS)
    assert [record.row for record in store.ended()] == ["narrow", "wide"]
    renumbered = replace(STUDY, enqueue=dict(reversed(ENQUEUE.items())))
    store.redefine(Definition(renumbered, renumbered, ""))
    assert widths_by_row(store) == ROWS, "whatever their order is today"


def test_an_old_store_whose_rows_were_sampled_has_them_trained_now():
    store = old_store(1)
    run(driver_of(STUDY, store), without_rows, at_most=3)
    assert widths_by_row(store) == {"narrow": 2}
    enqueue(STUDY, store)
    run(driver_of(STUDY, store))
    assert widths_by_row(store) == ROWS


def test_what_a_user_enqueues_by_hand_is_tried():
    study = tiny_study(trials=6, sampler="tpe")
    store = new_store(study)
    enqueue(study, store)
    store.optuna.enqueue_trial({"width": 2, "rate": 0.2})
    run(driver_of(study, store))
    assert store.records()[5].candidate.training.learning_rate == 0.2


def test_a_trial_that_was_begun_before_its_parameters_were_known_gets_those_of_an_uninterrupted_study():
    """The sampler of a trial that leaves a parameter open is seeded by the trial's own number."""
    study = tiny_study(trials=4, enqueue=({"width": 3}, {"width": 4}))
    whole, store = new_store(study), new_store(study)
    for each in (whole, store):
        enqueue(study, each)
    run(driver_of(study, whole))
    store.optuna.ask()
    store.storage.set_trial_user_attr(store.trials()[0]._trial_id, "driver", "one that died")
    run(driver_of(study, store))
    assert store.records() == whole.records()
    rates = {record.candidate.training.learning_rate for record in whole.records()}
    assert len(rates) == 4
