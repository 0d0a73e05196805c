"""Families of exit rules: each is a function from an exit table to operating points, and one line in RULE_FAMILIES.

Policies decide by more than one threshold per exit (see `policy`): one line each in POLICY_FAMILIES.
Shapes: N samples, K exits of the table.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import product

import numpy as np

from searchlab.baselines.class_wise import class_wise
from searchlab.baselines.eenet import eenet
from searchlab.baselines.let_in import let_in_points
from searchlab.baselines.patience import patience
from searchlab.baselines.policy import Policy
from searchlab.exits.budgets import geometric_shares, surest_first
from searchlab.exits.evaluate import normalised, operating_point, scores_of
from searchlab.exits.frontier import FrontierSettings, exact_frontier
from searchlab.exits.scores import GATE, Scores
from searchlab.exits.table import ExitTable
from searchlab.exits.thresholds import quantile_thresholds
from searchlab.front.pareto import non_dominated, values_of
from searchlab.operating_point import ExitRule, OperatingPoint
from searchlab.record import Profile

Points = tuple[OperatingPoint, ...]
RuleFamily = Callable[[ExitTable, Profile, FrontierSettings], Points]
PolicyFamily = Callable[[ExitTable, Profile, FrontierSettings], Sequence[Policy]]

ENTROPIES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001)
"""Entropies of the grid at each exit, as shares of the maximum, log C; never follows them."""

WHOLE_GRID = 3
"""Largest number of early exits for the full grid."""


def exact(table: ExitTable, profile: Profile, settings: FrontierSettings) -> Points:
    """Searches the exact frontier (`frontier.exact_frontier`)."""
    return exact_frontier(table, profile, settings).points


def shared_threshold(table: ExitTable, profile: Profile, settings: FrontierSettings) -> Points:
    """Tries one threshold for all exits, all in use: quantiles of all early scores, and never."""
    return _points(table, profile, settings.scores, lambda score_NK: _shared(score_NK, settings.thresholds_per_exit))


def msdnet_budgets(table: ExitTable, profile: Profile, settings: FrontierSettings) -> Points:
    """Uses all exits; the N pi_k most certain remaining samples leave at exit k (Huang et al. 2018, section 5).

    pi_k is q^k over the sum of q^j, for q = p/20 and p = 1..39. Samples with the same score as the last of them leave
    too.
    """
    return _points(table, profile, settings.scores, _budgeted)


def entropy_grid(table: ExitTable, profile: Profile, settings: FrontierSettings) -> Points:
    """Tries a grid of entropies with all exits in use (BranchyNet, Teerapittayanon et al. 2016, algorithm 1).

    Fifteen thresholds per exit: fourteen entropies (ENTROPIES), and never. With up to three early exits, every vector
    is tried (3,375 at most). With more, vectors differ from a shared threshold at one exit only. The non-dominated
    points are returned. The score is the entropy, independent of the settings.
    """
    thresholds = [*(-math.log(table.logits_NKC.shape[2]) * share for share in ENTROPIES), math.inf]
    points = _points(table, profile, ("entropy",), lambda _: _grid(thresholds, table.exits - 1))
    return tuple(points[i] for i in non_dominated(values_of(points, settings.objectives)))


def let_in(table: ExitTable, profile: Profile, settings: FrontierSettings) -> Points:
    """Combines every early exit with the final one by the paper's search (`let_in_points`), on the highest logit."""
    tables = [let_in_points(table, k, profile) for k in range(table.exits - 1)]
    return tuple(dict.fromkeys(row.point for rows in tables for row in rows))


def gate_at_zero(table: ExitTable, profile: Profile, settings: FrontierSettings) -> Points:
    """Leaves where the learned gate is at least 0 (paper 001, section 4). Empty without gates.

    An exit that no sample of this table takes is not in use, so that its gate is not run.
    """
    if table.gates_NG is None:
        return ()
    score_NK = scores_of(table, GATE)
    everywhere = ExitRule(GATE, tuple(range(table.exits)), (0.0,) * (table.exits - 1))
    return (operating_point(table.correct_NK, score_NK, normalised(score_NK, everywhere), profile),)


RULE_FAMILIES: dict[str, RuleFamily] = {
    "exact": exact,
    "shared_threshold": shared_threshold,
    "msdnet_budgets": msdnet_budgets,
    "entropy_grid": entropy_grid,
    "let_in": let_in,
    "gate_at_zero": gate_at_zero,
}

POLICY_FAMILIES: dict[str, PolicyFamily] = {
    "patience": patience,
    "class_wise": class_wise,
    "eenet": eenet,
}


def thresholds_in(points: Iterable[OperatingPoint], exits: int) -> dict[str, list[list[float]]]:
    """Collects the thresholds of some points, per score and exit: `extra` of a search that must contain them."""
    found: dict[str, list[list[float]]] = {}
    for rule in (point.rule for point in points):
        per_exit = found.setdefault(rule.score, [[] for _ in range(exits)])
        for k, threshold in zip(rule.exits, rule.thresholds, strict=False):
            per_exit[k].append(threshold)
    return found


def _points(
    table: ExitTable,
    profile: Profile,
    scores: Iterable[str],
    family: Callable[[Scores], Iterable[Sequence[float]]],
) -> Points:
    """Returns the family's points with every score, all exits in use."""
    points = []
    for name in scores:
        score_NK = scores_of(table, name)
        for thresholds in family(score_NK):
            rule = ExitRule(name, tuple(range(table.exits)), tuple(float(t) for t in thresholds))
            points.append(operating_point(table.correct_NK, score_NK, rule, profile))
    return tuple(points)


def _shared(score_NK: Scores, levels: int) -> Iterable[Sequence[float]]:
    early = score_NK.shape[1] - 1
    thresholds = quantile_thresholds(score_NK[:, :early].reshape(-1), levels).tolist() if early else []
    return [[threshold] * early for threshold in (*thresholds, np.inf)]


def _budgeted(score_NK: Scores) -> Iterable[Sequence[float]]:
    return [surest_first(score_NK, geometric_shares(p / 20, score_NK.shape[1])) for p in range(1, 40)]


def _grid(thresholds: Sequence[float], early: int) -> Iterable[Sequence[float]]:
    if early <= WHOLE_GRID:
        return product(thresholds, repeat=early)
    around = [[shared] * early for shared in thresholds]
    return [[*row[:k], own, *row[k + 1 :]] for row in around for k in range(early) for own in thresholds]
