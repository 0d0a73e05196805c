"""Ranking of trials at a rung by their frontiers: contribution to the joint front first.

A trial is represented by the values_PM of its frontier: P points by M objectives, finite, each to be minimised. There
are T trials at the rung, with P points in total; owner_P is the trial of each point; F points are on the rung's front.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from searchlab.front.pareto import Positions, Values, hypervolume, non_dominated
from searchlab.objective import Objective

Rank = tuple[float, ...]
"""Sort key, lowest first; equal trials have equal ranks."""

DIGITS = 12
"""Decimal places that count: rounding errors must not decide between equal trials."""


def set_ranks(shown: Sequence[Values], objectives: Sequence[Objective]) -> list[Rank]:
    """Returns the rank of every trial: (minus its contribution, its depth, its distance).

    *Contribution*: the hypervolume that the rung's front would lose without the trial. *Depth*: the number of fronts to
    remove, each with all trials that have a point on it, until the trial has a point on the front of the remaining
    ones; a trial without points is deepest. *Distance*: the smallest amount that must be subtracted from all values of
    one of its points until no point of the front is better in all of them. Hypervolume and distance use
    `in_units_of_the_rung`, so that units of objectives do not change ranks.
    """
    values_PM = np.concatenate(shown)
    owner_P = np.repeat(np.arange(len(shown)), [len(values) for values in shown])
    depth_T = _depths(_two_columns(values_PM), owner_P, len(shown))
    scaled_PM = _two_columns(in_units_of_the_rung(values_PM, objectives))
    added_T = _added(scaled_PM, owner_P, depth_T)
    distance_T = _distances(scaled_PM, owner_P, depth_T)
    return list(zip((-added_T).tolist(), depth_T.tolist(), distance_T.tolist(), strict=True))


def volumes(shown: Sequence[Values], objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """Returns the hypervolume of each trial's own frontier, in units of the rung."""
    scaled_PM = _two_columns(in_units_of_the_rung(np.concatenate(shown), objectives))
    ends = np.cumsum([len(values) for values in shown])
    return np.asarray([_volume(rows) for rows in np.split(scaled_PM, ends[:-1])])


def in_units_of_the_rung(values_PM: Values, objectives: Sequence[Objective]) -> Values:
    """Scales values_PM between 0, the ideal, and 1, the reference point of hypervolumes.

    As in `front.scaled_values`, a cost c becomes c / (c + scale); the scale is the median of all points of the rung. A
    maximised value becomes its relative difference from the rung's best.
    """
    scaled_PM = np.empty_like(values_PM)
    if len(values_PM) == 0:
        return scaled_PM
    for column, objective in enumerate(objectives):
        value_P = values_PM[:, column]
        if objective.sign > 0:
            scaled_PM[:, column] = value_P / (value_P + (np.median(value_P) or 1.0))
        else:
            scaled_PM[:, column] = 1.0 + value_P / (-value_P.min() or 1.0)
    return scaled_PM


def _two_columns(values_PM: Values) -> Values:
    """Duplicates a single objective, the second constant: `pareto` compares two or three."""
    return values_PM if values_PM.shape[1] > 1 else np.column_stack([values_PM, np.zeros(len(values_PM))])


def _depths(values_PM: Values, owner_P: Positions, trials: int) -> Positions:
    depth_T = np.full(trials, trials)
    # Of equal rows `non_dominated` names the first; all of them are on the front.
    same_P = np.unique(values_PM, axis=0, return_inverse=True)[1].reshape(-1)
    left, depth = np.arange(len(values_PM)), 0
    while len(left):
        on_front = np.isin(same_P[left], same_P[left[non_dominated(values_PM[left])]])
        depth_T[owner_P[left[on_front]]] = depth
        left = left[depth_T[owner_P[left]] > depth]
        depth += 1
    return depth_T


def _added(scaled_PM: Values, owner_P: Positions, depth_T: Positions) -> NDArray[np.float64]:
    """Without a trial, points of the next depth may enter the front, but no deeper ones."""
    near = depth_T[owner_P] <= 1
    rows_PM, owner_P = scaled_PM[near], owner_P[near]
    whole = _volume(rows_PM)
    added_T = np.zeros(len(depth_T))
    for trial in np.flatnonzero(depth_T == 0).tolist():
        added_T[trial] = whole - _volume(rows_PM[owner_P != trial])
    return np.round(added_T, DIGITS)


def _distances(scaled_PM: Values, owner_P: Positions, depth_T: Positions) -> NDArray[np.float64]:
    front_FM = scaled_PM[depth_T[owner_P] == 0]
    front_FM = front_FM[non_dominated(front_FM)]
    distance_T = np.zeros(len(depth_T))
    for trial in np.flatnonzero(depth_T > 0).tolist():
        behind_PFM = scaled_PM[owner_P == trial][:, None] - front_FM
        distance_T[trial] = behind_PFM.min(axis=2).max(axis=1, initial=0.0).min(initial=np.inf)
    return np.round(distance_T, DIGITS)


def _volume(scaled_PM: Values) -> float:
    return hypervolume(scaled_PM, np.ones(scaled_PM.shape[1]))
