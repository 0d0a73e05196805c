"""Evaluation of a network with checkpoints (paper 000): let-in thresholds, accuracy changes, measured runtimes.

Shapes: N images, K exits, C channels, H and W pixels.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass as noun

from searchlab import AlexNet, Findings, Subject
from searchlab.lab import (
    LET_IN_SCORE,
    NOUN,
    Alternated,
    EarlyExitRuntime,
    Epochs,
    Estimate,
    ExitTable,
    LetIn,
    Normaliser,
    Profile,
    Segments,
    Split,
    Turns,
    alternating,
    gained_and_lost,
    let_in_points,
    measuring,
    percent_of,
    points_above,
    prepared,
    quiet_host,
    run_without_exits,
    scores_of,
    share_estimate,
    tabulate,
    this_machine,
    to_plain,
    validation_table,
)

LITTLE = 500
"""With fewer test images (a smoke run), every time is measured once only; it supports no conclusion."""


@noun(frozen=True, config=NOUN)
class TargetFound:
    """Results for one let-in target at one checkpoint. The threshold is None where no image, or every image, is let in.

    `let_in` is a share of the test images; `accuracy_change` is in points and `runtime_change` in percent of the base
    network's time, positive where the checkpoint is better or faster. Times: milliseconds per image.
    """

    target: float
    threshold: float | None
    let_in: Estimate
    accuracy_change: Estimate
    runtime_change: Estimate
    base_ms: Epochs
    custom_ms: Epochs


@noun(frozen=True, config=NOUN)
class CheckpointFound:
    """Results for a checkpoint after the stage `cut`, one entry per target."""

    cut: int
    stage: str
    targets: tuple[TargetFound, ...]


@noun(frozen=True, config=NOUN)
class Timing:
    """How runtime was measured: number of test images, alternation (`lab.Turns`), machine."""

    images: int
    warm_up: int
    sets: int
    epochs: int
    machine: str


@noun(frozen=True, config=NOUN)
class NetworkFound:
    """Results for a base network: test accuracy in percent, checkpoints, and the sizes of the splits."""

    accuracy: Estimate
    train_images: int
    validation_images: int
    test_images: int
    checkpoints: tuple[CheckpointFound, ...]
    timing: Timing


def evaluate_checkpoints(subject: Subject) -> Findings:
    """Evaluate a trial: `NetworkFound` as plain data. Thresholds are chosen on the validation split alone.

    Raises:
        UserError: the trial's exit table cannot be read.
    """
    record, device, dataset = subject.record, subject.device, subject.dataset
    assert record.cost is not None
    validation, split = validation_table(subject), dataset.test.to(device)
    normaliser = Normaliser.of(dataset, device)
    test = tabulate(subject.network, split, normaliser)
    setup = _CheckpointSetup(subject, test, split, normaliser, turns_for(subject))
    with measuring(), quiet_host(subject.threads):
        segments = prepared(subject.network, setup.image(0))
        checkpoints = tuple(
            CheckpointFound(
                cut,
                record.cost.stages[cut].name,
                setup.targets(segments, exit, let_in_points(validation, exit, Profile(record.cost))),
            )
            for exit, cut in enumerate(record.cost.cuts[:-1])
        )
    found = NetworkFound(
        accuracy=percent_of(int(test.correct_NK[:, -1].sum()), test.samples),
        train_images=len(dataset.train),
        validation_images=validation.samples,
        test_images=test.samples,
        checkpoints=checkpoints,
        timing=setup.timing,
    )
    plain: Findings = to_plain(found)
    return plain


def turns_for(subject: Subject) -> Turns:
    """The paper's alternation: two warm-up epochs, then two sets of five epochs (three sets for AlexNet)."""
    if len(subject.dataset.test) < LITTLE:
        return Turns(warm_up=1, sets=1, epochs=1)
    return Turns(sets=3 if isinstance(subject.record.candidate.architecture, AlexNet) else 2)


@dataclass(frozen=True)
class _CheckpointSetup:
    """Data and settings that the evaluations of all checkpoints share."""

    subject: Subject
    test: ExitTable
    split: Split
    normaliser: Normaliser
    turns: Turns

    @property
    def timing(self) -> Timing:
        machine = this_machine(self.subject.device, self.subject.threads).label
        return Timing(timed_images(self.test.samples), self.turns.warm_up, self.turns.sets, self.turns.epochs, machine)

    def image(self, position: int) -> torch.Tensor:
        """Return one test image, image_1CHW, normalised."""
        return self.normaliser(self.split.images(slice(position, position + 1))).clone()

    def targets(self, segments: Segments, exit: int, chosen: tuple[LetIn, ...]) -> tuple[TargetFound, ...]:
        """Evaluate every target at one checkpoint, one after the other."""
        score_N = scores_of(self.test, LET_IN_SCORE)[:, exit]
        images = [self.image(int(n)) for n in spread(score_N, timed_images(len(score_N)))]
        found: list[TargetFound] = []
        for each in chosen:
            custom = EarlyExitRuntime(segments, each.point.rule).classify
            # One warm-up is enough: all targets time the same network.
            turns = self.turns if not found else Turns(0, self.turns.sets, self.turns.epochs)
            timed = alternating(run_without_exits(segments), custom, images, turns)
            found.append(self._target(each, score_N >= each.threshold, exit, timed))
        return tuple(found)

    def _target(self, chosen: LetIn, leaves_N: NDArray[np.bool_], exit: int, timed: Alternated) -> TargetFound:
        correct_NK = self.test.correct_NK
        right_N, base_N = np.where(leaves_N, correct_NK[:, exit], correct_NK[:, -1]), correct_NK[:, -1]
        change = points_above(*gained_and_lost(right_N, base_N), len(base_N))
        return TargetFound(
            target=chosen.target,
            threshold=chosen.threshold if isfinite(chosen.threshold) else None,
            let_in=share_estimate(int(leaves_N.sum()), len(leaves_N)),
            accuracy_change=change if leaves_N.any() else Estimate(0, 0, 0),
            runtime_change=timed.faster_percent(),
            base_ms=timed.base_ms,
            custom_ms=timed.other_ms,
        )


def timed_images(images: int) -> int:
    """Number of images to time, of so many test images."""
    return min(images, max(8, min(200, images // 50)))


def spread(score_N: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """`count` positions, evenly over the scores, shuffled: a threshold lets in the same share of them as of all."""
    every = ((np.arange(count) + 0.5) * len(score_N) / count).astype(np.intp)
    return np.random.default_rng(0).permutation(np.argsort(score_N, kind="stable")[every])
