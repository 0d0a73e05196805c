"""Let-in thresholds of the checkpoint classifier (paper 000, "Parameter Search"): one early exit and the final one.

Shapes: N samples, T thresholds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchlab.exits.evaluate import operating_point, scores_of
from searchlab.exits.table import ExitTable
from searchlab.operating_point import ExitRule, OperatingPoint
from searchlab.record import Profile

LET_IN_SCORE = "max_logit"

TARGETS = tuple(i / 10 for i in range(11))
"""The paper's let-in targets: the least share to let in; the upper end of the window is a tenth more."""


@dataclass(frozen=True)
class LetIn:
    """A row of the paper's table: target, threshold found, and the result of the whole network.

    `share` is that of the samples whose score reaches `threshold`; `relative_accuracy` is the share of those that are
    right, and 1 where there are none.
    """

    target: float
    share: float
    threshold: float
    relative_accuracy: float
    point: OperatingPoint


def let_in_points(table: ExitTable, exit: int, profile: Profile) -> tuple[LetIn, ...]:
    """Finds, per target, the threshold of best relative accuracy with a share in the target's window.

    All thresholds with different shares are tried. Of equal relative accuracies the smaller share is taken, as in the
    paper. A share of 0 counts as accuracy 1, so the target 0 lets in no sample, as in the paper's table 3. The target 1
    lets in every sample: its threshold is minus infinity. A target without a share in its window (few samples, or many
    equal scores) is omitted.

    Raises:
        UserError: the decision by the highest logit was not measured.
    """
    assert 0 <= exit < table.exits - 1, (exit, table.exits)
    score_NK, samples = scores_of(table, LET_IN_SCORE), table.samples
    threshold_T, above_T, right_T = _thresholds(score_NK[:, exit], table.correct_NK[:, exit])
    relative_T = np.where(above_T > 0, right_T / np.maximum(above_T, 1), 1.0)
    found = []
    for tenths, target in enumerate(TARGETS):
        inside = np.flatnonzero((10 * above_T >= tenths * samples) & (10 * above_T <= (tenths + 1) * samples))
        if len(inside) == 0:
            continue
        best = inside[relative_T[inside].argmax()]
        rule = ExitRule(LET_IN_SCORE, (exit, table.exits - 1), (float(threshold_T[best]),))
        point = operating_point(table.correct_NK, score_NK, rule, profile)
        share = float(above_T[best] / samples)
        found.append(LetIn(target, share, rule.thresholds[0], float(relative_T[best]), point))
    return tuple(found)


def _thresholds(
    score_N: NDArray[np.float64], correct_N: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """Returns every distinct threshold, highest first, with how many samples reach it and how many of them are correct.

    Each lies halfway between two neighbouring scores, so that rounding on another device changes no decision.
    """
    order = np.argsort(-score_N, kind="stable")
    ordered = score_N[order]
    above_T = np.append(np.flatnonzero(ordered[1:] < ordered[:-1]) + 1, len(ordered))
    lowest, below = ordered[above_T[:-1] - 1], ordered[above_T[:-1]]
    halfway = below + (lowest - below) / 2
    between = np.where(halfway > below, halfway, lowest)
    right_T = np.cumsum(correct_N[order])[above_T - 1]
    threshold_T = np.concatenate(([np.inf], between, [-np.inf]))
    return threshold_T, np.concatenate(([0], above_T)), np.concatenate(([0], right_T))
