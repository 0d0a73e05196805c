"""A trial in a thread, stepped through as Tune does; and the bridge that passes on what it says."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from ray.exceptions import RayTaskError
from tiny import made_record, tiny_candidate, tiny_study

from searchlab.architecture import Partitioned, ResNet, Torchvision
from searchlab.artefacts import packed
from searchlab.candidate import Candidate, Head
from searchlab.errors import Interrupted, RunError, TrialFailure, UserError
from searchlab.measure.isolation import Waiting
from searchlab.operating_point import Frontier
from searchlab.record import Epoch
from searchlab.runners.tune import latency
from searchlab.runners.tune.bridge import Bridge
from searchlab.runners.tune.stepped_trial import Rung, SteppedTrial, Update
from searchlab.runners.tune.worker import Task, TrialWorker
from searchlab.study import TrialSpec
from searchlab.train.progress import Progress
from searchlab.trial import run_trial

SPEC = TrialSpec(3, tiny_candidate(), tiny_study(epochs=3, rungs=(1, 2)))
SHOWN = Frontier("validation", ())
LONG = 30.0


@pytest.fixture
def executor():
    with ThreadPoolExecutor(1) as made:
        yield made


def played(executor, until=3, ends_with=None):
    """A trial of epochs with a rung after each but the last."""
    stepped = SteppedTrial(Progress())

    def trial():
        for epoch in range(1, until + 1):
            stepped.hooks.on_epoch(Epoch(epoch, 1.0, 0.1))
            if epoch < until and not stepped.hooks.on_rung(epoch, SHOWN):
                return made_record(SPEC, "stopped")
        if ends_with:
            raise ends_with
        return made_record(SPEC)

    stepped.begin(executor, trial)
    return stepped


def test_it_waits_at_every_rung_and_comes_back_with_its_record(executor):
    stepped = played(executor)
    first, second, last = (stepped.next(LONG) for _ in range(3))
    assert [[epoch.epoch for epoch in update.epochs] for update in (first, second, last)] == [[1], [2], [3]]
    assert (first.rung, second.rung, last.rung) == (Rung(1, SHOWN), Rung(2, SHOWN), None)
    assert (last.record, last.done, first.done) == (made_record(SPEC), True, False)


def test_ended_at_a_rung_it_comes_back_as_stopped(executor):
    stepped = played(executor)
    stepped.next(LONG)
    stepped.stop_at_rung()
    assert stepped.next(LONG).record.state == "stopped"


def test_a_trial_that_waits_for_the_lock_says_so_to_whoever_looks_on(executor):
    stepped = SteppedTrial(Progress())
    stepped.begin(executor, lambda: stepped.hooks.say("measuring waits") or made_record(SPEC))
    update = stepped.next(LONG)
    assert update.words == ("measuring waits",)
    bridge = desk_of(SPEC)
    bridge.next_task("a")
    bridge.follow("a", update)
    assert bridge.source.words == [(SPEC.number, "measuring waits")]


def test_what_a_trial_is_doing_is_passed_on_unless_an_epoch_ended_since(executor):
    def trial(*ends: int) -> SteppedTrial:
        def works():
            stepped.hooks.on_phase("training")
            for epoch in ends:
                stepped.hooks.on_epoch(Epoch(epoch, 1.0, 0.1))
            return made_record(SPEC)

        stepped = SteppedTrial(Progress())
        stepped.begin(executor, works)
        return stepped

    update = trial().next(LONG)
    assert update.phase == "training" and trial(1).next(LONG).phase == ""
    bridge = desk_of(SPEC)
    bridge.next_task("a")
    bridge.follow("a", update)
    assert bridge.source.phases == [(SPEC.number, "training")]


def test_nothing_for_a_while_is_no_news(executor):
    stepped = SteppedTrial(Progress())
    stepped.begin(executor, lambda: stepped.hooks.on_rung(1, SHOWN) and made_record(SPEC))
    assert stepped.next(LONG).rung
    stepped._waits = False  # as if it were still training
    assert stepped.next(0.01) == Update()
    stepped.abort()


def test_broken_off_it_ends_where_it_waits_or_after_a_step(executor):
    stepped = played(executor)
    stepped.next(LONG)
    stepped.abort()
    with pytest.raises(Interrupted):
        stepped._trial.result()
    assert stepped.hooks.interrupted()


@pytest.mark.parametrize("error", [UserError("invalid-cut", "no such cut"), ValueError("a bug")])
def test_what_a_trial_raises_comes_through(executor, error):
    stepped = played(executor, until=1, ends_with=error)
    with pytest.raises(type(error), match=str(error)):
        stepped.next(LONG)


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


def ended(bridge, trial_id, record, files=None):
    bridge.ends[trial_id] = (record, files or {})
    bridge.end(trial_id)


TOO_LARGE = replace(made_record(SPEC, "failed"), reason="out of memory: tried to allocate 2.00 GiB")


def test_what_does_not_fit_beside_others_is_tried_once_more_alone():
    bridge = desk_of(SPEC)
    assert not bridge.next_task("a").alone
    ended(bridge, "a", TOO_LARGE)
    assert bridge.source.told == []
    again = bridge.next_task("b")
    assert (again.spec, again.alone) == (SPEC, True)
    ended(bridge, "b", TOO_LARGE)
    assert bridge.source.told == [TOO_LARGE]
    assert bridge.next_task("c") is None


def test_what_has_the_memory_for_itself_is_not_tried_again():
    bridge = desk_of(SPEC, shares_memory=False)
    bridge.next_task("a")
    ended(bridge, "a", TOO_LARGE)
    assert bridge.source.told == [TOO_LARGE]


def test_a_trial_that_was_lost_too_often_has_failed_and_says_why():
    bridge = desk_of(SPEC)
    bridge.next_task("a")
    bridge.lost("a", "The node died.")
    bridge.end("a")
    (record,) = bridge.source.told
    assert (record.number, record.state, record.reason) == (3, "failed", "The node died.; see --max-failures")


def test_artefacts_come_with_the_record_to_where_the_study_is_kept(tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    (there / "weights.safetensors").write_bytes(b"weights")
    (there / "record.json").write_text("says where it was written")
    bridge = desk_of(replace(SPEC, directory=here))
    bridge.next_task("a")
    ended(bridge, "a", made_record(SPEC), packed(there))
    (record,) = bridge.source.told
    assert record == replace(made_record(SPEC), directory=str(here))
    assert (here / "weights.safetensors").read_bytes() == b"weights"
    assert json.loads((here / "record.json").read_text())["directory"] == f"{tmp_path.name}/here"


def test_the_first_error_is_kept_and_ends_the_run():
    bridge = desk_of(SPEC)
    assert bridge.kept(lambda: 3) == 3 and not bridge.over
    assert bridge.kept(lambda: 1 / 0) is None
    assert bridge.kept(lambda: [][1]) is None
    assert bridge.over
    with pytest.raises(ZeroDivisionError):
        bridge.raise_error()


def test_a_candidate_that_raises_comes_back_as_a_failed_record_and_is_not_tried_again(executor, digits):
    """Tune begins a trial again that raises; this one would raise again."""
    alone = replace(tiny_candidate(batch_size=1), final=Head(hidden=(4,), batch_norm=True))
    stepped = SteppedTrial(Progress())
    stepped.begin(executor, lambda: run_trial(replace(SPEC, candidate=alone), digits, stepped.hooks))
    record = stepped.next(LONG).record
    assert record.state == "failed" and record.reason.startswith("ValueError: Expected more than 1 value per channel")


@pytest.mark.parametrize(
    ("cause", "kind", "says"),
    [
        (ValueError("no"), TrialFailure, "ValueError: no"),
        (MemoryError("9 GiB"), TrialFailure, "out of memory: 9 GiB"),
        (RunError("unknown-device", "no such device"), RunError, "no such device"),
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
    worker.stepped = None
    config = {"task": Task(SPEC)}
    assert worker.reset_config(config)
    monkeypatch.setattr("searchlab.runners.tune.worker.is_usable", lambda device: False)
    assert not worker.reset_config(config)


def test_a_relative_path_to_weights_starts_at_the_folder_of_the_driver_and_is_recorded_as_named(tmp_path):
    """A worker has another working folder than the process that runs the study."""
    published = Torchvision("resnet18", weights="begin.safetensors")
    candidate = Candidate(Partitioned(((0,), (1,)), published, (published, ResNet((1,), 4))))
    spec, read = replace(SPEC, candidate=candidate), []

    def work(spec, dataset, hooks):
        read.append(spec.candidate.architecture)
        return replace(made_record(SPEC), candidate=spec.candidate)

    worker = object.__new__(TrialWorker)
    worker.stepped = worker.saved = None
    worker.dataset, worker.work, worker.config = object(), work, {"task": Task(spec, home=tmp_path)}
    with ThreadPoolExecutor(1) as worker.executor:
        update = worker.step()["update"]
        while update.record is None:
            update = worker.step()["update"]
        worker._abort()
    path = str(tmp_path / "begin.safetensors")
    assert (read[0].router.weights, read[0].experts[0].weights, read[0].experts[1]) == (path, path, ResNet((1,), 4))
    assert update.record.candidate == candidate
