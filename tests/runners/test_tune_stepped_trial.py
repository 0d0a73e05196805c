"""A trial in a thread, stepped through as Tune does; and the desk that passes on what it says."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from ray.exceptions import RayTaskError
from tiny import made_record, tiny_candidate, tiny_study

from searchlab.artefacts import packed
from searchlab.candidate import Head
from searchlab.errors import Interrupted, RunError, TrialFailure, UserError
from searchlab.measure.isolation import Waiting
from searchlab.operating_point import Frontier
from searchlab.record import Epoch
from searchlab.runners.tune import latency
from searchlab.runners.tune.bridge import Bridge
from searchlab.runners.tune.stepped_trial import News, Rung, SteppedTrial
from searchlab.runners.tune.worker import Task, TrialWorker
from searchlab.study import TrialSpec
from searchlab.train.progress import Progress
from searchlab.trial import run_trial

SPEC = TrialSpec(3, tiny_candidate(), tiny_study(epochs=3, rungs=(1, 2)))
SHOWN = Frontier("validation", ())
LONG = 30.0


@pytest.fixture
def stage():
    with ThreadPoolExecutor(1) as made:
        yield made


def played(stage, until=3, ends_with=None):
    """A trial of epochs with a rung after each but the last."""
    play = SteppedTrial(Progress())

    def trial():
        for epoch in range(1, until + 1):
            play.hooks.on_epoch(Epoch(epoch, 1.0, 0.1))
            if epoch < until and not play.hooks.on_rung(epoch, SHOWN):
                return made_record(SPEC, "stopped")
        if ends_with:
            raise ends_with
        return made_record(SPEC)

    play.begin(stage, trial)
    return play


def test_it_waits_at_every_rung_and_comes_back_with_its_record(stage):
    play = played(stage)
    first, second, last = (play.next(LONG) for _ in range(3))
    assert [[epoch.epoch for epoch in news.epochs] for news in (first, second, last)] == [[1], [2], [3]]
    assert (first.rung, second.rung, last.rung) == (Rung(1, SHOWN), Rung(2, SHOWN), None)
    assert (last.record, last.done, first.done) == (made_record(SPEC), True, False)


def test_ended_at_a_rung_it_comes_back_as_stopped(stage):
    play = played(stage)
    play.next(LONG)
    play.end_here()
    assert play.next(LONG).record.state == "stopped"


def test_a_trial_that_waits_for_the_lock_says_so_to_whoever_looks_on(stage):
    play = SteppedTrial(Progress())
    play.begin(stage, lambda: play.hooks.say("measuring waits") or made_record(SPEC))
    news = play.next(LONG)
    assert news.words == ("measuring waits",)
    desk = desk_of(SPEC)
    desk.next_task("a")
    desk.follow("a", news)
    assert desk.source.words == [(SPEC.number, "measuring waits")]


def test_what_a_trial_is_doing_is_passed_on_unless_an_epoch_ended_since(stage):
    def trial(*ends: int) -> SteppedTrial:
        def works():
            play.hooks.on_phase("training")
            for epoch in ends:
                play.hooks.on_epoch(Epoch(epoch, 1.0, 0.1))
            return made_record(SPEC)

        play = SteppedTrial(Progress())
        play.begin(stage, works)
        return play

    news = trial().next(LONG)
    assert news.phase == "training" and trial(1).next(LONG).phase == ""
    desk = desk_of(SPEC)
    desk.next_task("a")
    desk.follow("a", news)
    assert desk.source.phases == [(SPEC.number, "training")]


def test_nothing_for_a_while_is_no_news(stage):
    play = SteppedTrial(Progress())
    play.begin(stage, lambda: play.hooks.on_rung(1, SHOWN) and made_record(SPEC))
    assert play.next(LONG).rung
    play._waits = False  # as if it were still training
    assert play.next(0.01) == News()
    play.break_off()


def test_broken_off_it_ends_where_it_waits_or_after_a_step(stage):
    play = played(stage)
    play.next(LONG)
    play.break_off()
    with pytest.raises(Interrupted):
        play._trial.result()
    assert play.hooks.interrupted()


@pytest.mark.parametrize("error", [UserError("no such cut"), ValueError("a bug")])
def test_what_a_trial_raises_comes_through(stage, error):
    play = played(stage, until=1, ends_with=error)
    with pytest.raises(type(error), match=str(error)):
        play.next(LONG)


class Notes:
    """A TrialSource that takes notes."""

    study = SPEC.study

    def __init__(self, *specs):
        self.left, self.told, self.words, self.phases = list(specs), [], [], []

    def ask(self):
        return self.left.pop(0) if self.left else None

    def tell(self, record):
        self.told.append(record)

    def on_phase(self, number, phase):
        self.phases.append((number, phase))

    def on_word(self, number, text):
        self.words.append((number, text))

    def interrupted(self):
        return False


def desk_of(*specs, shares_memory=True):
    return Bridge(Notes(*specs), lambda spec, alone: Task(spec, alone=alone), shares_memory)


def ended(desk, trial_id, record, files=None):
    desk.ends[trial_id] = (record, files or {})
    desk.end(trial_id)


TOO_LARGE = replace(made_record(SPEC, "failed"), reason="out of memory: tried to allocate 2.00 GiB")


def test_what_does_not_fit_beside_others_is_tried_once_more_alone():
    desk = desk_of(SPEC)
    assert not desk.next_task("a").alone
    ended(desk, "a", TOO_LARGE)
    assert desk.source.told == []
    again = desk.next_task("b")
    assert (again.spec, again.alone) == (SPEC, True)
    ended(desk, "b", TOO_LARGE)
    assert desk.source.told == [TOO_LARGE]
    assert desk.next_task("c") is None


def test_what_has_the_memory_for_itself_is_not_tried_again():
    desk = desk_of(SPEC, shares_memory=False)
    desk.next_task("a")
    ended(desk, "a", TOO_LARGE)
    assert desk.source.told == [TOO_LARGE]


def test_a_trial_that_was_lost_too_often_has_failed_and_says_why():
    desk = desk_of(SPEC)
    desk.next_task("a")
    desk.lost("a", "The node died.")
    desk.end("a")
    (record,) = desk.source.told
    assert (record.number, record.state, record.reason) == (3, "failed", "The node died.; see --max-failures")


def test_artefacts_come_with_the_record_to_where_the_study_is_kept(tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    (there / "weights.safetensors").write_bytes(b"weights")
    (there / "record.json").write_text("says where it was written")
    desk = desk_of(replace(SPEC, directory=here))
    desk.next_task("a")
    ended(desk, "a", made_record(SPEC), packed(there))
    (record,) = desk.source.told
    assert record == replace(made_record(SPEC), directory=str(here))
    assert (here / "weights.safetensors").read_bytes() == b"weights"
    assert str(here) in Path(here / "record.json").read_text()


def test_the_first_error_is_kept_and_ends_the_run():
    desk = desk_of(SPEC)
    assert desk.kept(lambda: 3) == 3 and not desk.over
    assert desk.kept(lambda: 1 / 0) is None
    assert desk.kept(lambda: [][1]) is None
    assert desk.over
    with pytest.raises(ZeroDivisionError):
        desk.raise_error()


def test_a_candidate_that_raises_comes_back_as_a_failed_record_and_is_not_tried_again(stage, digits):
    """Tune begins a trial again that raises; this one would raise again."""
    alone = replace(tiny_candidate(batch_size=1), final=Head(hidden=(4,), batch_norm=True))
    play = SteppedTrial(Progress())
    play.begin(stage, lambda: run_trial(replace(SPEC, candidate=alone), digits, play.hooks))
    record = play.next(LONG).record
    assert record.state == "failed" and record.reason.startswith("ValueError: Expected more than 1 value per channel")


@pytest.mark.parametrize(
    ("cause", "kind", "says"),
    [
        (ValueError("no"), TrialFailure, "ValueError: no"),
        (MemoryError("9 GiB"), TrialFailure, "out of memory: 9 GiB"),
        (RunError("no such device"), RunError, "no such device"),
    ],
)
def test_what_another_node_raises_while_it_measures_is_told_apart(monkeypatch, digits, cause, kind, says):
    def lost(task):
        raise RayTaskError("measured_here", "traceback", cause)

    monkeypatch.setattr(latency.ray, "remote", lambda function: function)
    monkeypatch.setattr(latency, "measured_here", Remote())
    monkeypatch.setattr(latency.ray, "get", lost)
    monkeypatch.setattr(latency.ray, "wait", lambda tasks, timeout: (tasks, []))
    with pytest.raises(kind) as raised:
        latency.measured_on(["0" * 56], digits.spec, SPEC)
    assert str(raised.value) == says


class Remote:
    """What stands for a function on another node."""

    def options(self, **given):
        return self

    def remote(self, *given):
        return None


def test_a_trial_measured_on_another_node_says_who_holds_the_lock_there_and_can_be_interrupted(monkeypatch, digits):
    said, cancelled, times = [], [], iter(range(0, 1000, 10))
    monkeypatch.setattr(latency.ray, "remote", lambda function: Remote())
    monkeypatch.setattr(latency.ray, "wait", lambda tasks, timeout: ([], tasks))
    monkeypatch.setattr(latency.ray, "get", lambda task: "process 42")
    monkeypatch.setattr(latency.ray, "cancel", cancelled.append)
    waiting = Waiting(said.append, lambda: len(said) == 2, clock=lambda: next(times))
    with pytest.raises(Interrupted):
        latency.measured_on(["0" * 56], digits.spec, SPEC, waiting)
    assert said[0] == "measuring on another node for 20 s; its lock is held by process 42"
    assert len(said) == 2 and len(cancelled) == 1


def test_a_worker_whose_device_is_unusable_is_not_used_again(monkeypatch):
    worker = object.__new__(TrialWorker)
    worker.play = None
    config = {"task": Task(SPEC)}
    assert worker.reset_config(config)
    monkeypatch.setattr("searchlab.runners.tune.worker.is_usable", lambda device: False)
    assert not worker.reset_config(config)
