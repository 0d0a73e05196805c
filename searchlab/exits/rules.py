"""Families of exit rules: each is a function from an exit table to operating points. A new one is one line in RULES.

Shapes: N samples, K exits of the table.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from searchlab.exits.evaluate import operating_point, scores_of
from searchlab.exits.frontier import FrontierSettings, exact_frontier
from searchlab.exits.levels import quantile_thresholds
from searchlab.exits.scores import Scores
from searchlab.exits.table import ExitTable
from searchlab.operating_point import ExitRule, OperatingPoint
from searchlab.record import NetworkCost, SegmentLatency

Points = tuple[OperatingPoint, ...]
RuleFamily = Callable[[ExitTable, NetworkCost, SegmentLatency | None, FrontierSettings], Points]


def exact(table: ExitTable, cost: NetworkCost, latency: SegmentLatency | None, settings: FrontierSettings) -> Points:
    """The exact frontier (`frontier.exact_frontier`)."""
    return exact_frontier(table, cost, latency, settings).points


def shared_threshold(
    table: ExitTable, cost: NetworkCost, latency: SegmentLatency | None, settings: FrontierSettings
) -> Points:
    """All exits in use, one threshold for all: `levels` of them in turn, quantiles of all early scores, and never."""
    return _points(table, cost, latency, settings, lambda score_NK: _shared(score_NK, settings.levels))


def msdnet_budgets(
    table: ExitTable, cost: NetworkCost, latency: SegmentLatency | None, settings: FrontierSettings
) -> Points:
    """All exits in use; the N pi_k surest of the samples that remain leave at exit k (Huang et al. 2018, section 5).

    pi_k is q^k over the sum of q^j, for q = p/20 and p = 1..39. Samples as sure as the last one of them leave too.
    """
    return _points(table, cost, latency, settings, _budgeted)


RULES: dict[str, RuleFamily] = {
    "exact": exact,
    "shared_threshold": shared_threshold,
    "msdnet_budgets": msdnet_budgets,
}


def thresholds_in(points: Iterable[OperatingPoint], exits: int) -> dict[str, list[list[float]]]:
    """All thresholds of some points, for each score one list per exit: `extra` of a search that must contain them."""
    found: dict[str, list[list[float]]] = {}
    for rule in (point.rule for point in points):
        per_exit = found.setdefault(rule.score, [[] for _ in range(exits)])
        for k, threshold in zip(rule.exits, rule.thresholds, strict=False):
            per_exit[k].append(threshold)
    return found


def _points(
    table: ExitTable,
    cost: NetworkCost,
    latency: SegmentLatency | None,
    settings: FrontierSettings,
    family: Callable[[Scores], Iterable[Sequence[float]]],
) -> Points:
    """The family's points with every score of the settings, all exits in use."""
    points = []
    for name in settings.scores:
        score_NK = scores_of(table, name)
        for thresholds in family(score_NK):
            rule = ExitRule(name, tuple(range(table.exits)), tuple(float(t) for t in thresholds))
            points.append(operating_point(table.correct_NK, score_NK, rule, cost, latency))
    return tuple(points)


def _shared(score_NK: Scores, levels: int) -> Iterable[Sequence[float]]:
    early = score_NK.shape[1] - 1
    thresholds = quantile_thresholds(score_NK[:, :early].reshape(-1), levels).tolist() if early else []
    return [[threshold] * early for threshold in (*thresholds, np.inf)]


def _budgeted(score_NK: Scores) -> Iterable[Sequence[float]]:
    samples, exits = score_NK.shape
    for p in range(1, 40):
        share_K = (p / 20) ** np.arange(1, exits + 1)
        quota_K = np.floor(samples * share_K / share_K.sum()).astype(int).tolist()
        remaining = np.arange(samples)
        thresholds = []
        for k, quota in enumerate(quota_K[:-1]):
            ordered = np.sort(score_NK[remaining, k])[::-1]
            quota = min(quota, len(ordered))
            threshold = float(ordered[quota - 1]) if quota else np.inf
            thresholds.append(threshold)
            remaining = remaining[score_NK[remaining, k] < threshold]
        yield thresholds
