"""Evaluation of one exit rule on one exit table. Shapes: N samples, K exits of the table."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from searchlab.errors import UserError
from searchlab.exits.costs import deployed_params, exit_cost_macs, exit_cost_ms, total_cost
from searchlab.exits.scores import GATE, SCORES, Scores, score_named
from searchlab.exits.table import ExitTable
from searchlab.operating_point import ExitRule, OperatingPoint
from searchlab.record import Profile


def scores_of(table: ExitTable, score: str) -> Scores:
    """Returns score_NK of a table. With "gate" the score at the last exit, which has no gate, is infinite.

    Raises:
        UserError: the score is unknown, or the table has no gates.
    """
    if score == GATE:
        if table.gates_NG is None:
            raise UserError(
                "no-gates", "the network has no gates", where="score", value=GATE, allowed=", ".join(SCORES)
            )
        return np.pad(table.gates_NG.astype(np.float64), ((0, 0), (0, 1)), constant_values=np.inf)
    return score_named(score)(table.logits_NKC)


def route(score_NK: Scores, rule: ExitRule) -> list[NDArray[np.bool_]]:
    """Returns, for each exit in use, which samples leave there."""
    staying = np.ones(len(score_NK), dtype=np.bool_)
    leaving = []
    for k, threshold in zip(rule.exits, rule.thresholds, strict=False):
        leaves = staying & (score_NK[:, k] >= threshold)
        staying &= ~leaves
        leaving.append(leaves)
    return [*leaving, staying]


def normalised(score_NK: Scores, rule: ExitRule) -> ExitRule:
    """Removes exits that no sample takes: the cheapest rule with the same routes on this table."""
    taken = [i for i, leaves in enumerate(route(score_NK, rule)) if leaves.any()]
    return ExitRule(
        rule.score, tuple(rule.exits[i] for i in taken), tuple(float(rule.thresholds[i]) for i in taken[:-1])
    )


def evaluate(table: ExitTable, rule: ExitRule, profile: Profile) -> OperatingPoint:
    """Evaluates a rule on a table, for example that of the test split.

    Raises:
        UserError: the score is unknown, its decision was not measured, or the network has no gates.
    """
    return operating_point(table.correct_NK, scores_of(table, rule.score), rule, profile)


def operating_point(
    correct_NK: NDArray[np.bool_],
    score_NK: Scores,
    rule: ExitRule,
    profile: Profile,
) -> OperatingPoint:
    """Like `evaluate`, from precomputed scores and correctness, which many rules can share."""
    samples = len(score_NK)
    leaving = route(score_NK, rule)
    left = [int(np.count_nonzero(leaves)) for leaves in leaving]
    right = tuple(
        int(np.count_nonzero(leaves & correct_NK[:, k])) for k, leaves in zip(rule.exits, leaving, strict=True)
    )
    stayed: Sequence[int] = (samples - np.cumsum(left[:-1], dtype=np.int64)).tolist()
    ms, cost = None, profile.cost
    if profile.latency is not None:
        ms = total_cost(exit_cost_ms(cost, profile.latency, rule.exits, rule.score), samples, stayed) / samples
    return OperatingPoint(
        rule=rule,
        samples=samples,
        correct=sum(right),
        shares=tuple(count / samples for count in left),
        correct_per_exit=right,
        macs=total_cost(exit_cost_macs(cost, rule.exits, rule.score), samples, stayed) / samples,
        params=deployed_params(cost, rule.exits, rule.score),
        latency_ms=ms,
    )
