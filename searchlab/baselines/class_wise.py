"""Class-wise thresholds: one per exit and predicted class, shrunk toward the exit's shared threshold.

Separate thresholds per class overfit: they gain on the data they were fitted to, and little on other data. So the
threshold of a class with n samples at an exit lies n / (n + strength) of the way from the shared threshold to the
class's own (as in James and Stein 1961). The strength is chosen by cross-validation on the fitting table.

Shared thresholds are those of the exact frontier. With a class's own thresholds, as many samples stay at each exit as
with the shared one, but those that gain most by staying, given the shared thresholds at the other exits. Thresholds are
positions on the exit's ladder (quantiles of its score, then never), so that distances between them are numbers of
samples, independent of the score's scale.

Shapes: N samples, K exits, E early ones of those in use, C classes, L thresholds of a ladder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from searchlab.baselines.policy import Taken, driving, first_exit, held_out, policy_point
from searchlab.exits.evaluate import scores_of
from searchlab.exits.frontier import FrontierSettings, exact_frontier
from searchlab.exits.scores import GATE, Scores
from searchlab.exits.table import ExitTable
from searchlab.exits.thresholds import make_grid
from searchlab.objective import accuracy
from searchlab.operating_point import ExitRule, OperatingPoint
from searchlab.record import Profile

STRENGTHS = (np.inf, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
"""Shrinkage strengths, the strongest (the shared threshold) first, so that it is preferred in ties."""

MOST_RULES, MOST_VECTORS = 50, 200_000
"""Most shared rules per score, and most threshold vectors per set of exits in their search: one per fold is made."""

HALVINGS = 12
"""Bounds of the bisection for the price of a sample that stays."""

PerClass = tuple[tuple[float, ...], ...]
"""thresholds_EC."""


@dataclass(frozen=True)
class ClassWise:
    """Leave at the first exit in use whose score reaches the threshold of the class that the exit predicts.

    `strength` is the one that was chosen; infinite where shared thresholds were best.
    """

    score: str
    exits: tuple[int, ...]
    thresholds: PerClass
    strength: float

    @property
    def scores(self) -> tuple[str, ...]:
        """The one score."""
        return (self.score,)

    def leaves_at(self, table: ExitTable) -> Taken:
        """Returns the first exit in use whose score reaches its class's threshold, else the last in use."""
        return _Seen.of(table, self.score).leave(self.exits, self.thresholds)


def class_wise(table: ExitTable, profile: Profile, settings: FrontierSettings) -> tuple[ClassWise, ...]:
    """Fits class-wise thresholds to the exact frontier's rules, for every score of the settings.

    Not by "gate": a gate is asked before the head has named a class.

    Raises:
        UserError: an unknown score, or one whose decision latency was not measured.
    """
    found: list[ClassWise] = []
    for score in settings.scores:
        if score != GATE:
            task = _Task(score, profile, settings)
            strength = task.best_strength(table)
            fits, _ = task.fits(table)
            found += [ClassWise(score, fit.exits, fit.thresholds(strength), strength) for fit in fits]
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class _Seen:
    """One score of a table, with the labels and predictions."""

    table: ExitTable
    score_NK: Scores
    class_NK: NDArray[np.intp]

    @classmethod
    def of(cls, table: ExitTable, score: str) -> "_Seen":
        return cls(table, scores_of(table, score), table.logits_NKC.argmax(axis=2))

    def leave(self, exits: tuple[int, ...], thresholds: PerClass) -> Taken:
        early = list(exits[:-1])
        threshold_EC = np.asarray(thresholds).reshape(len(early), self.table.logits_NKC.shape[2])
        threshold_NE = threshold_EC[np.arange(len(early)), self.class_NK[:, early]]
        return np.asarray(exits)[first_exit(self.score_NK[:, early] >= threshold_NE)]


@dataclass(frozen=True)
class _Fit:
    """Positions on the ladders: the shared one, and each class's own with its number of samples."""

    exits: tuple[int, ...]
    ladders: tuple[NDArray[np.float64], ...]
    shared_E: NDArray[np.intp]
    own_EC: NDArray[np.intp]
    samples_EC: NDArray[np.intp]

    def thresholds(self, strength: float) -> PerClass:
        weight_EC = self.samples_EC / (self.samples_EC + strength)
        shared_E1 = self.shared_E[:, None]
        position_EC = np.rint(shared_E1 + weight_EC * (self.own_EC - shared_E1)).astype(np.intp)
        return tuple(tuple(ladder[at_C].tolist()) for ladder, at_C in zip(self.ladders, position_EC, strict=True))


@dataclass(frozen=True)
class _Task:
    """One score and the data that thresholds are fitted to."""

    score: str
    profile: Profile
    settings: FrontierSettings

    def fits(self, table: ExitTable) -> tuple[list[_Fit], float]:
        """Returns a fit per shared rule, and the value of cost in accuracy: the slope from the first to the last."""
        points = self._shared(table)
        seen = _Seen.of(table, self.score)
        grid = make_grid(scores_of(table, self.score), self.settings.thresholds_per_exit)
        ladders = [np.append(thresholds, np.inf) for thresholds in grid.thresholds]
        fits = [_fit(seen, point.rule, ladders, grid.levels_KN) for point in points]
        first, last = points[0], points[-1]
        dearer = self._cost(last) - self._cost(first)
        return fits, (last.accuracy - first.accuracy) / dearer if dearer else 0.0

    def best_strength(self, table: ExitTable) -> float:
        """Selects the strongest shrinkage whose held-out value is within a standard error of the best.

        The value is accuracy minus weighted cost, as mean over all rules. The standard error is that of the difference
        over folds (Breiman et al. 1984, section 3.4.3): with few small folds, the best value may be chance.
        """
        worth_FS = np.asarray([self._worth(table, held_N) for held_N in held_out(table.samples)])
        if len(worth_FS) == 0:
            return STRENGTHS[0]
        behind_FS = worth_FS[:, [worth_FS.mean(axis=0).argmax()]] - worth_FS
        error_S = behind_FS.std(axis=0, ddof=1) / np.sqrt(len(worth_FS))
        return STRENGTHS[int((behind_FS.mean(axis=0) <= error_S).argmax())]

    def _worth(self, table: ExitTable, held_N: NDArray[np.bool_]) -> list[float]:
        """Returns worth_S, the held-out value of every strength."""
        judged = _Seen.of(table.part(held_N), self.score)
        fits, slope = self.fits(table.part(~held_N))
        worth = []
        for strength in STRENGTHS:
            exits = [(judged.leave(fit.exits, fit.thresholds(strength)), fit.exits) for fit in fits]
            points = [policy_point(judged.table, exit_N, self.profile, (self.score,), used) for exit_N, used in exits]
            worth.append(sum(point.accuracy - slope * self._cost(point) for point in points) / len(fits))
        return worth

    def _shared(self, table: ExitTable) -> Sequence[OperatingPoint]:
        wanted = replace(
            self.settings,
            objectives=(accuracy, driving(self.profile, self.settings)),
            scores=(self.score,),
            max_points=MOST_RULES,
            max_vectors=MOST_VECTORS,
            min_accuracy=0.0,
            extra={},
        )
        return exact_frontier(table, self.profile, wanted).points

    def _cost(self, point: object) -> float:
        return float(getattr(point, driving(self.profile, self.settings).name))


def _fit(seen: _Seen, rule: ExitRule, ladders: Sequence[NDArray[np.float64]], levels_KN: NDArray[np.intp]) -> _Fit:
    """Fits each class's own threshold at every early exit, with the rule's thresholds at the others."""
    early, correct_NK = rule.exits[:-1], seen.table.correct_NK
    classes, own = seen.table.logits_NKC.shape[2], []
    used = tuple(ladders[k] for k in early)
    shared_E = np.asarray(
        [np.searchsorted(ladder, t) for ladder, t in zip(used, rule.thresholds, strict=True)], np.intp
    )
    stays_EN = levels_KN[list(early)] <= shared_E[:, None]
    samples_EC = np.zeros((len(early), classes), dtype=np.intp)
    right_N = correct_NK[:, rule.exits[-1]].astype(np.float64)
    for e in reversed(range(len(early))):
        come_N = stays_EN[:e].all(axis=0)
        class_N, size = seen.class_NK[come_N, early[e]], len(used[e])
        cell_N = class_N * size + levels_KN[early[e], come_N]
        gain_N = (right_N - correct_NK[:, early[e]])[come_N]
        # Per class and threshold: correct answers gained by the samples that stay, and how many stay.
        won_CL, kept_CL = (
            np.bincount(cell_N, weight_N, classes * size).reshape(classes, size).cumsum(axis=1)
            for weight_N in (gain_N, np.ones(len(gain_N)))
        )
        own.append(_traded(won_CL, kept_CL, int(shared_E[e])))
        samples_EC[e] = np.bincount(class_N, minlength=classes)
        right_N = np.where(stays_EN[e], right_N, correct_NK[:, early[e]])
    own_EC = np.asarray(own[::-1], dtype=np.intp).reshape(len(early), classes)
    return _Fit(rule.exits, used, shared_E, own_EC, samples_EC)


def _traded(won_CL: NDArray[np.float64], kept_CL: NDArray[np.float64], shared: int) -> NDArray[np.intp]:
    """Chooses each class's position for the largest gain, with about as many samples staying as under the shared one.

    Every class maximises what is won minus a price per sample kept. Of prices by bisection, that counts whose number of
    samples kept comes nearest; of a class's equal positions, the nearest to the shared one.
    """
    wanted, away_L = kept_CL[:, shared].sum(), np.abs(np.arange(won_CL.shape[1]) - shared)
    best, least = np.full(len(won_CL), shared), np.inf
    low, high = -1.0, 1.0
    for _ in range(HALVINGS):
        price = (low + high) / 2
        worth_CL = won_CL - price * kept_CL
        top_CL = worth_CL == worth_CL.max(axis=1, keepdims=True)
        position_C = np.where(top_CL, away_L, len(away_L)).argmin(axis=1)
        kept = np.take_along_axis(kept_CL, position_C[:, None], axis=1).sum()
        if abs(kept - wanted) < least:
            best, least = position_C, abs(kept - wanted)
        low, high = (low, price) if kept < wanted else (price, high)
    return np.asarray(best)
