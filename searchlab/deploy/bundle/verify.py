"""Verification of a bundle: its files against the exit table of its network, image by image, and its latency.

Shape suffixes: N images, K exits, C classes.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from searchlab.artefacts import load_network
from searchlab.data.batches import Normaliser
from searchlab.data.splits import Dataset, Split
from searchlab.deploy.bundle.card import MODEL, QUANTISED, STAGED, Card
from searchlab.deploy.bundle.model_file import ModelFile, as_given
from searchlab.deploy.bundle.staged import StagedRuntime
from searchlab.deploy.own_scores import use_scores
from searchlab.deploy.runtime import EarlyExitRuntime
from searchlab.exits.evaluate import route, scores_of
from searchlab.exits.table import ExitTable
from searchlab.exits.tabulate import tabulate
from searchlab.operating_point import Estimate, ExitRule, share_estimate

TIE, LOGITS = 1e-5, 1e-4
"""A score so near to its threshold may fall on either side, relative to thresholds above 1; logits may differ by so
much.
"""

AT_A_TIME = 256
NAMED = 5


@dataclass(frozen=True)
class Agreement:
    """How a file, or a form of the network, agrees with the exit table.

    Attributes:
        differing: images that leave at another exit, or with another class, and are no ties.
        tied: images that do so with a score within TIE of a threshold, or with two classes within LOGITS.
        logits_error: the largest difference of logits, of images that leave at the same exit.
    """

    name: str
    images: int
    differing: tuple[int, ...]
    tied: tuple[int, ...]
    logits_error: float

    @property
    def holds(self) -> bool:
        """Whether nothing differs but ties."""
        return not self.differing and self.logits_error <= LOGITS


@dataclass(frozen=True)
class Verification:
    """A bundle compared with its network on the test images.

    Attributes:
        ties: images of the exit table with a score within TIE of a threshold.
        accuracy: of the model file.
        int8: accuracy of the int8 file, and the share of images that it takes to the same exit and class.
    """

    agreements: tuple[Agreement, ...]
    images: int
    ties: tuple[int, ...]
    accuracy: Estimate
    int8: tuple[Estimate, float] | None = None

    @property
    def holds(self) -> bool:
        """Whether every form of the network agrees with the exit table."""
        return all(agreement.holds for agreement in self.agreements)


@dataclass(frozen=True, eq=False)
class _Expected:
    """What the exit table says of every image, and which images are ties."""

    class_N: NDArray[np.int64]
    exit_N: NDArray[np.int64]
    logits_NC: NDArray[np.float32]
    tie_N: NDArray[np.bool_]

    def agreement(
        self, name: str, class_N: NDArray[np.int64], exit_N: NDArray[np.int64], logits_NC: NDArray[np.float32]
    ) -> Agreement:
        other_N = (class_N != self.class_N) | (exit_N != self.exit_N)
        first_two_N2 = np.sort(self.logits_NC, axis=1)[:, -2:]
        alike_N = (first_two_N2[:, 1] - first_two_N2[:, 0] < LOGITS) & (exit_N == self.exit_N)
        excused_N = self.tie_N | alike_N
        same_N = exit_N == self.exit_N
        error = float(np.abs(logits_NC - self.logits_NC)[same_N].max(initial=0.0))
        differing, tied = (np.flatnonzero(found_N) for found_N in (other_N & ~excused_N, other_N & excused_N))
        return Agreement(name, len(class_N), tuple(differing.tolist()), tuple(tied.tolist()), error)


def verify(folder: Path, card: Card, dataset: Dataset) -> Verification:
    """Runs the model file, the staged files and the torch runtime on every test image; compares with the exit table.

    Raises:
        UserError: a file is missing, damaged, or of another network.
    """
    assert card.data.images is not None
    use_scores(card.study)
    rule, split = card.point.rule, dataset.test
    network = load_network(folder, card.candidate, card.data.images)
    normaliser = Normaliser(torch.tensor(card.data.mean), torch.tensor(card.data.std))
    expected = _expected(tabulate(network, split, normaliser), rule)
    pixels_NCHW = as_given(split.images_NCHW.numpy(), card.input)
    file = ModelFile(folder / MODEL).answers(pixels_NCHW)
    agreements = [expected.agreement(MODEL, file.class_N, file.exit_N, file.logits_NC)]
    staged, routed = StagedRuntime(folder / STAGED, rule), EarlyExitRuntime(network, rule)
    parts = [staged.logits_batch(pixels_NCHW[at : at + AT_A_TIME]) for at in range(0, len(split), AT_A_TIME)]
    agreements.append(_joined(expected, f"{STAGED}/", parts))
    parts = [_routed(routed, split, at, normaliser) for at in range(0, len(split), AT_A_TIME)]
    agreements.append(_joined(expected, "torch runtime", parts))
    labels_N, int8 = split.labels_N.numpy(), None
    if card.int8:
        small = ModelFile(folder / QUANTISED).answers(pixels_NCHW)
        same_N = (small.class_N == file.class_N) & (small.exit_N == file.exit_N)
        int8 = share_estimate(int((small.class_N == labels_N).sum()), len(split)), float(same_N.mean())
    accuracy = share_estimate(int((file.class_N == labels_N).sum()), len(split))
    ties = tuple(np.flatnonzero(expected.tie_N).tolist())
    return Verification(tuple(agreements), len(split), ties, accuracy, int8)


def _expected(table: ExitTable, rule: ExitRule) -> _Expected:
    exit_N, tie_N = np.zeros(table.samples, np.int64), np.zeros(table.samples, np.bool_)
    score_NK = scores_of(table, rule.score) if rule.thresholds else np.zeros((table.samples, table.exits))
    reached_N = np.ones(table.samples, np.bool_)
    leaving = route(score_NK, rule)
    for exit, threshold in zip(rule.exits, rule.thresholds, strict=False):
        near_N = np.abs(score_NK[:, exit] - threshold) <= _tie(threshold)
        tie_N |= reached_N & near_N
        # On the other side of the threshold it would go on, and later thresholds count too.
        reached_N &= (score_NK[:, exit] < threshold) | near_N
    for exit, leaves_N in zip(rule.exits, leaving, strict=True):
        exit_N[leaves_N] = exit
    logits_NC = table.logits_NKC[np.arange(table.samples), exit_N]
    return _Expected(logits_NC.argmax(axis=1), exit_N, logits_NC, tie_N)


def _tie(threshold: float) -> float:
    """How near to a threshold a score is a tie; to an infinite one, none is."""
    return TIE * max(1.0, abs(threshold)) if math.isfinite(threshold) else 0.0


def _routed(
    runtime: EarlyExitRuntime, split: Split, at: int, normaliser: Normaliser
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    logits_NC, exit_N = runtime.logits_batch(normaliser(split.images(slice(at, at + AT_A_TIME))))
    return logits_NC.numpy(), exit_N.numpy()


def _joined(expected: _Expected, name: str, parts: list[tuple[NDArray[np.float32], NDArray[np.int64]]]) -> Agreement:
    logits_NC, exit_N = (np.concatenate(column) for column in zip(*parts, strict=True))
    return expected.agreement(name, logits_NC.argmax(axis=1), exit_N, logits_NC)
