"""A training that is taken up at a rung comes to the same as one that was never interrupted."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from quick_part import quick_part
from raises import raises_code
from tiny import tiny_candidate, tiny_study

from searchlab.architecture import Partitioned, ResNet
from searchlab.artefacts import load_checkpoint, save_checkpoint
from searchlab.candidate import Candidate, Decay, Exit, Gate, Head, HeadTraining, Training
from searchlab.data.splits import limited
from searchlab.errors import Interrupted
from searchlab.serialization import to_plain
from searchlab.study import TrialSpec
from searchlab.train.progress import Progress, Snapshot
from searchlab.trial import run_trial
from searchlab.trial_hooks import TrialHooks

RECIPE = {"batch_size": 40, "learning_rate": 0.1}
GATED = Candidate(
    ResNet((1, 1), 4), (Exit(0, Head(), gate=Gate()), Exit(1, Head(hidden=(8,), dropout=0.5), gate=Gate()))
)
HEADS = HeadTraining("adam", epochs=0.5)
SMALL = ResNet((1, 1), 4)
CANDIDATES = {
    "joint": tiny_candidate(4, **RECIPE),
    "momentum 0": tiny_candidate(4, momentum=0.0, **RECIPE),
    "mixed": tiny_candidate(4, regime="mixed", **RECIPE),
    "plateau": tiny_candidate(4, schedule="plateau", decay=Decay(patience=0), **RECIPE),
    "cosine": tiny_candidate(4, schedule="cosine", **RECIPE),
    "gates, dropout": replace(GATED, training=Training("gates", heads=HEADS, **RECIPE)),
    "frozen, stored": tiny_candidate(4, regime="frozen", heads=replace(HEADS, stored=True), **RECIPE),
    "partitioned": Candidate(
        Partitioned(((0, 1, 2, 3, 4), (5, 6, 7, 8, 9)), SMALL, (SMALL, SMALL), SMALL), training=Training(**RECIPE)
    ),
}
STUDY = tiny_study(epochs=6, rungs=(1, 2, 3, 4, 5), curves=True)


@pytest.fixture(scope="module")
def few(digits):
    return limited(digits, 100)


class Walk:
    """Hooks that keep a snapshot of every rung as a folder, and note what they are asked."""

    def __init__(self, folder: Path, saved: Snapshot | None = None, end_at: int = 0) -> None:
        self.folder, self.end_at = folder, end_at
        self.epochs, self.shown = [], {}
        self.progress = Progress(saved)
        self.hooks = TrialHooks(on_epoch=self.on_epoch, on_rung=self.on_rung, progress=self.progress)

    def on_epoch(self, epoch):
        self.epochs.append(epoch)

    def on_rung(self, epoch, frontier):
        self.shown[epoch] = frontier
        place = self.folder / str(epoch)
        place.mkdir(parents=True, exist_ok=True)
        snapshot = self.progress.snapshot()
        save_checkpoint(place, snapshot.tensors, {"loops": snapshot.loops, "notes": snapshot.notes})
        if epoch == self.end_at:
            raise Interrupted
        return True


def read(folder: Path) -> Snapshot:
    tensors, plain = load_checkpoint(folder)
    return Snapshot(tensors, **plain)


@pytest.mark.slow
@pytest.mark.parametrize("name", quick_part(CANDIDATES, ["joint"]))
def test_taken_up_at_any_rung_it_is_as_if_never_interrupted(name, few, tmp_path):
    spec = TrialSpec(0, CANDIDATES[name], STUDY, seed=3, directory=tmp_path / "whole")
    whole = Walk(tmp_path / "rungs")
    record = run_trial(spec, few, whole.hooks)
    assert record.state == "complete" and set(whole.shown) == set(STUDY.rungs)
    for rung in STUDY.rungs:
        # As in a process of its own: nothing is left of the random numbers.
        torch.manual_seed(rung)
        later = Walk(tmp_path / "later", read(tmp_path / "rungs" / str(rung)))
        again = run_trial(replace(spec, directory=tmp_path / str(rung)), few, later.hooks)
        assert (again.curve, again.frontier) == (record.curve, record.frontier), rung
        assert [epoch.epoch for epoch in later.epochs] == list(range(rung + 1, record.epochs + 1))
        assert later.shown == {epoch: shown for epoch, shown in whole.shown.items() if epoch >= rung}
        one, other = (read_weights(folder) for folder in (tmp_path / "whole", tmp_path / str(rung)))
        assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def read_weights(folder):
    (folder / "state.json").write_text("{}")
    return load_checkpoint(folder)[0]


@pytest.mark.slow
def test_latency_is_not_measured_again(few, tmp_path, monkeypatch):
    study = replace(STUDY, max_latency_ms=1000.0)
    spec = TrialSpec(0, CANDIDATES["joint"], study, seed=3)
    first = Walk(tmp_path, end_at=2)
    with pytest.raises(Interrupted):
        run_trial(spec, few, first.hooks)
    saved = read(tmp_path / "2")
    monkeypatch.setattr("searchlab.trial.measure_latency", None)
    monkeypatch.setattr("searchlab.record.LatencyReport.doubt", "")
    later = Walk(tmp_path / "later", saved)
    record = run_trial(spec, few, later.hooks)
    assert to_plain(record.latency) | {"check": None} == saved.notes["latency"]
    assert later.shown[2] == first.shown[2]


def test_half_a_checkpoint_is_refused(tmp_path):
    save_checkpoint(tmp_path, {"a": torch.zeros(1000)}, {"loops": [], "notes": {}})
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with raises_code("artefact-unreadable"):
        load_checkpoint(tmp_path)
