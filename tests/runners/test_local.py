import os
from dataclasses import replace

import pytest
from raises import raises_code
from tiny import Seen, made_record, tiny_candidate, tiny_study

from searchlab.candidate import Head
from searchlab.errors import Interrupted
from searchlab.measure.isolation import measuring
from searchlab.runners import local
from searchlab.runners.local import run_local
from searchlab.search.driver import Driver, Problem
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore
from searchlab.study import RunOptions, TrialSpec

STUDY = tiny_study(epochs=3, rungs=(1, 2))


class Notes:
    """A TrialSource of some trials that takes notes; `stop_at` is the number of the trial whose first rung says no."""

    def __init__(self, trials: int, stop_at: int = -1, interrupt: bool = False) -> None:
        self.left = [TrialSpec(number, tiny_candidate(2 + number), STUDY, seed=number) for number in range(trials)]
        self.stop_at, self.interrupt = stop_at, interrupt
        self.told, self.epochs, self.rungs, self.words, self.phases = [], [], [], [], []

    def ask(self):
        return self.left.pop(0) if self.left else None

    def tell(self, record):
        self.told.append(record)

    def on_epoch(self, number, epoch):
        self.epochs.append((number, epoch.epoch))

    def on_phase(self, number, phase):
        self.phases.append((number, phase))

    def on_word(self, number, text):
        self.words.append((number, text))

    def on_rung(self, number, epoch, frontier):
        self.rungs.append((number, epoch))
        return number != self.stop_at

    def interrupted(self):
        return self.interrupt


def test_trials_run_in_order_and_each_is_told_once(digits, monkeypatch):
    begun = []
    monkeypatch.setattr(local, "run_trial", lambda spec, dataset, hooks: begun.append(spec) or made_record(spec))
    source = Notes(3)
    asked = list(source.left)
    run_local(source, digits)
    assert begun == asked
    assert source.told == [made_record(spec) for spec in asked]


def test_epochs_and_rungs_reach_the_source_under_their_trials_number(digits):
    source = Notes(2, stop_at=1)
    run_local(source, digits)
    assert source.epochs == [(0, 1), (0, 2), (0, 3), (1, 1)]
    assert source.rungs == [(0, 1), (0, 2), (1, 1)]
    assert [record.state for record in source.told] == ["complete", "stopped"]


def test_an_interrupted_trial_is_not_told(digits):
    source = Notes(2, interrupt=True)
    with pytest.raises(Interrupted):
        run_local(source, digits)
    assert source.told == [] and len(source.left) == 1


def test_no_trial_at_all(digits):
    source = Notes(0)
    run_local(source, digits)
    assert source.told == []


def test_a_failed_trial_is_told_and_the_next_begins(digits):
    source = Notes(2)
    source.left[0] = replace(source.left[0], candidate=tiny_candidate(4, learning_rate=1e9))
    run_local(source, digits)
    assert [record.state for record in source.told] == ["failed", "complete"]


def test_a_trial_that_leaves_the_device_unusable_is_told_and_ends_the_run(digits, monkeypatch):
    source = Notes(2)
    source.left[0] = replace(source.left[0], candidate=tiny_candidate(4, learning_rate=1e9))
    monkeypatch.setattr(local, "is_usable", lambda device: False)
    with raises_code("device-unusable", where="cpu", mentions="`searchlab resume` continues"):
        run_local(source, digits)
    assert [record.state for record in source.told] == ["failed"]


def broken_space(choose):
    """Every second candidate cannot be trained: batches of one image do not go through a normalised head."""
    width = choose.suggest_int("width", 2, 8)
    final = Head(hidden=(4,), batch_norm=True)
    return replace(tiny_candidate(width, batch_size=1 if width % 2 else 64), final=final)


@pytest.mark.slow
def test_a_trial_that_an_earlier_version_left_running_as_it_raised_does_not_begin_every_resume(digits, tmp_path):
    study = tiny_study(trials=3, epochs=1, enqueue=tuple({"width": width} for width in (3, 4, 6)))
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    store = StudyStore.create(Definition(study, study, ""), open_storage(url, create=True), url)
    for known in study.enqueue.values():
        store.optuna.enqueue_trial(known)

    def driver():
        again = StudyStore.load(study.name, open_storage(url, create=False), url)
        return Driver(Problem(study, broken_space, digits.spec), again, RunOptions(output=tmp_path), "cpu", Seen())

    # As a version did that let it raise: begun, and its process gone.
    assert driver().ask().candidate.training.batch_size == 1
    resumed = driver()
    run_local(resumed, digits)
    assert [(record.number, record.state) for record in resumed.records] == [
        (0, "failed"),
        (1, "complete"),
        (2, "complete"),
    ]
    assert resumed.records[0].reason.startswith("ValueError: Expected more than 1 value per channel")
    assert driver().ask() is None


def test_a_trial_that_waits_for_a_measurement_says_so_and_can_be_interrupted(digits, monkeypatch):
    monkeypatch.setattr("searchlab.measure.isolation.SAY_AFTER_S", 0.0)
    source = Notes(1)
    monkeypatch.setattr(source, "interrupted", lambda: bool(source.words))
    with measuring(), pytest.raises(Interrupted):
        run_local(source, digits)
    ((number, text),) = source.words
    assert number == 0 and text.startswith("training waits") and f"process {os.getpid()} (" in text
