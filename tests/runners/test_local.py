from dataclasses import replace

import pytest
from tiny import made_record, tiny_candidate, tiny_study

from searchlab.errors import Interrupted
from searchlab.runners import local
from searchlab.runners.local import run_local
from searchlab.study import TrialSpec

STUDY = tiny_study(epochs=3, rungs=(1, 2))


class Notes:
    """A Source of some trials that takes notes; `stop_at` is the number of the trial whose first rung says no."""

    def __init__(self, trials: int, stop_at: int = -1, interrupt: bool = False) -> None:
        self.left = [TrialSpec(number, tiny_candidate(2 + number), STUDY, seed=number) for number in range(trials)]
        self.stop_at, self.interrupt = stop_at, interrupt
        self.told, self.epochs, self.rungs = [], [], []

    def ask(self):
        return self.left.pop(0) if self.left else None

    def tell(self, record):
        self.told.append(record)

    def on_epoch(self, number, epoch):
        self.epochs.append((number, epoch.epoch))

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
