"""What may go wrong in a trial: a fault of the candidate is a failed record, any other is raised."""

import errno
import re
from dataclasses import replace

import pytest
import torch
from raises import raises_code
from tiny import spec_of, tiny_candidate, tiny_study

from searchlab import trial as trial_module
from searchlab.architecture import ResNet
from searchlab.candidate import Augmentation, Candidate, Head, Training
from searchlab.errors import UserError
from searchlab.trial import run_trial
from searchlab.trial_hooks import TrialHooks


@pytest.mark.parametrize(
    ("rate", "reason", "epochs"),
    [(1e30, "in epoch 1: the training diverged", 1), (1e9, "logits of the exit table are not finite", 2)],
)
def test_a_training_that_diverges_is_a_failed_record_with_its_reason(digits, tmp_path, rate, reason, epochs):
    wild = tiny_candidate(8, learning_rate=rate, batch_size=64)
    record = run_trial(spec_of(wild, directory=tmp_path / "t"), digits)
    assert record.state == "failed" and record.frontier is None
    assert reason in record.reason and record.cost.params > 0
    assert record.epochs == epochs, "what it used, the epoch included that it did not finish"
    assert record.seconds.total > 0 and not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore lines"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"
        ),
        MemoryError("Unable to allocate 9.00 GiB for an array"),
    ],
)
def test_too_little_memory_is_a_failed_record(digits, monkeypatch, error):
    def full(*given, **named):
        raise error

    monkeypatch.setattr(trial_module, "procedure_of", lambda candidate: full)
    record = run_trial(spec_of(), digits)
    assert (record.state, record.epochs) == ("failed", 0)
    assert record.reason == f"out of memory: {str(error).splitlines()[0]}"


def test_batches_of_one_image_with_a_normalised_head_are_a_failed_record_and_no_traceback(digits):
    alone = tiny_candidate(8, batch_size=1)
    alone = replace(alone, final=Head(pool=1, hidden=(4,), batch_norm=True))
    record = run_trial(spec_of(alone), digits)
    assert (record.state, record.epochs, record.frontier) == ("failed", 0, None)
    assert re.fullmatch(
        r"ValueError: Expected more than 1 value per channel when training, got input size torch.Size\(\[1, 4\]\) "
        r"\(torch/nn/functional\.py:\d+, called at searchlab/train/learning\.py:\d+\)",
        record.reason,
    )


STEPS = ("network_cost", "build", "measure", "procedure_of", "tabulate", "exact_frontier")
RAISED = (RuntimeError("mat1 and mat2"), AssertionError(), KeyError(3), TypeError("no"))


@pytest.mark.parametrize(
    ("step", "error"), [*((s, ValueError("two\nlines")) for s in STEPS), *(("build", e) for e in RAISED)]
)
def test_whatever_a_candidate_raises_in_whatever_step_is_a_failed_record(digits, monkeypatch, step, error):
    def broken(*given, **named):
        raise error

    monkeypatch.setattr(trial_module, step, broken)
    objectives = tiny_study("accuracy", "latency_ms" if step == "measure" else "macs").objectives
    record = run_trial(spec_of(objectives=objectives, epochs=1), digits)
    assert record.state == "failed" and record.reason.startswith(f"{type(error).__name__}: ")
    assert re.search(r"\(test_trial_failures\.py:\d+", record.reason) and "\n" not in record.reason


@pytest.mark.parametrize("hook", ["interrupted", "on_epoch", "on_rung"])
@pytest.mark.parametrize("error", [UserError("store-unusable", "locked"), RuntimeError("ours"), OSError(5, "io")])
def test_what_a_hook_raises_is_not_the_candidates_fault(digits, hook, error):
    def broken(*given):
        raise error

    with pytest.raises(type(error)) as raised:
        run_trial(spec_of(epochs=2, rungs=(1,)), digits, TrialHooks(**{hook: broken}))
    assert raised.value is error


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many files"), PermissionError(13, "no", "/tmp/a")])
def test_what_the_operating_system_refuses_is_not_the_candidates_fault(digits, monkeypatch, error):
    def refused(device, waiting):
        raise error

    monkeypatch.setattr(trial_module, "training_lock", refused)
    with raises_code("io-error", mentions=error.strerror):
        run_trial(spec_of(), digits)


def test_ctrl_c_is_not_the_candidates_fault(digits, monkeypatch):
    def interrupted(candidate):
        raise KeyboardInterrupt

    monkeypatch.setattr(trial_module, "procedure_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_trial(spec_of(), digits)


@pytest.mark.parametrize(
    ("candidate", "says"),
    [
        (Candidate(ResNet((1, 1), 4), final=Head(pool=9)), "pooling is larger than the map"),
        (tiny_candidate(4, regime="osmosis"), "unknown regime: 'osmosis'"),
        (tiny_candidate(4, schedule="moonlight"), "unknown schedule: 'moonlight'"),
        (Candidate(ResNet((1,), 4), training=Training(augmentation=Augmentation(cutout_pixels=99))), "cutout"),
    ],
)
def test_a_candidate_that_cannot_be_trained_on_these_images_is_a_failed_record(digits, candidate, says):
    record = run_trial(spec_of(candidate), digits)
    assert record.state == "failed" and says in record.reason
