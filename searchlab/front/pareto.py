"""Dominance, fronts and hypervolume of plain arrays. Every value here is minimised; see `Objective.sign`."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from searchlab.objective import Objective
from searchlab.operating_point import OperatingPoint

Values = NDArray[np.float64]
"""values_PM: P points by M objectives, each to be minimised."""

Positions = NDArray[np.intp]


def values_of(points: Sequence[OperatingPoint], objectives: Sequence[Objective]) -> Values:
    """Returns values_PM of operating points, signed so that less is better. A missing latency is infinite."""
    rows = [
        [np.inf if getattr(point, o.name) is None else o.sign * getattr(point, o.name) for o in objectives]
        for point in points
    ]
    return np.asarray(rows, dtype=np.float64).reshape(len(points), len(objectives))


def non_dominated(values_PM: Values) -> Positions:
    """Returns positions of the non-dominated rows of two or three objectives, in order of the first objective.

    A row dominates another if it is worse in no objective and better in at least one. Two objectives need one sort;
    three need a sort, and a sweep that keeps the front of the other two as a staircase (Kung, Luccio and Preparata
    1975).
    """
    if len(values_PM) == 0:
        return np.empty(0, dtype=np.intp)
    assert values_PM.shape[1] in (2, 3), values_PM.shape
    order = np.lexsort(values_PM.T[::-1])
    if values_PM.shape[1] == 3:
        return _swept(values_PM, order)
    second = values_PM[order, 1]
    best_before = np.concatenate(([np.inf], np.minimum.accumulate(second)[:-1]))
    new = second < best_before
    new[0] = True  # A single infinite value is better than none.
    return np.asarray(order[new], dtype=np.intp)


def _swept(values_PM: Values, order: Positions) -> Positions:
    front: list[int] = []
    seconds: list[float] = []  # ascending
    thirds: list[float] = []  # descending: the best third value up to each second one
    for index, (second, third) in zip(order.tolist(), values_PM[order, 1:].tolist(), strict=True):
        at = bisect_right(seconds, second)
        if at and thirds[at - 1] <= third:
            continue
        start = bisect_left(seconds, second)
        end = at
        while end < len(thirds) and thirds[end] >= third:
            end += 1
        seconds[start:end], thirds[start:end] = [second], [third]
        front.append(index)
    return np.asarray(front, dtype=np.intp)


def hypervolume(values_PM: Values, reference_M: Values) -> float:
    """Returns the volume that the rows dominate below the reference point: exact, for two or three objectives."""
    inside = values_PM[np.all(values_PM < reference_M, axis=1)]
    front = inside[non_dominated(inside)]
    if len(front) == 0:
        return 0.0
    if front.shape[1] == 2:
        heights = np.concatenate(([reference_M[1]], front[:-1, 1])) - front[:, 1]
        return float(np.sum((reference_M[0] - front[:, 0]) * heights))
    front = front[np.argsort(front[:, 2], kind="stable")]
    tops = np.append(front[1:, 2], reference_M[2])
    slabs = (
        (top - row[2]) * hypervolume(front[: i + 1, :2], reference_M[:2])
        for i, (row, top) in enumerate(zip(front, tops, strict=True))
        if top > row[2]
    )
    return float(sum(slabs))


def contributions(values_PM: Values, front_FM: Values, reference_M: Values) -> NDArray[np.float64]:
    """Returns how much hypervolume each row alone would add to a front."""
    free = _everything(reference_M)
    for row_M in front_FM:
        free, _ = _carved(free, row_M)
    return _volumes(free, values_PM)


def closest_to_front(values_PM: Values, front_FM: Values, reference_M: Values) -> int:
    """Returns the row that adds most hypervolume to a front; if none adds any, the one nearest to its rows.

    Contributions alone cannot decide then, because all dominated rows contribute 0.
    """
    added_P = np.nan_to_num(contributions(values_PM, front_FM, reference_M))
    if added_P.max() > 0 or len(front_FM) == 0:
        return int(added_P.argmax())
    distance_PF = np.linalg.norm(values_PM[:, None] - front_FM, axis=2)
    return int(np.nan_to_num(distance_PF, nan=np.inf).min(axis=1).argmin())


class _Boxes(NamedTuple):
    """Disjoint boxes, open below: lower_BM and upper_BM."""

    lower_BM: Values
    upper_BM: Values


def _everything(reference_M: Values) -> _Boxes:
    """The one box of everything below the reference point."""
    return _Boxes(np.full((1, len(reference_M)), -np.inf), np.asarray(reference_M, dtype=np.float64)[None])


def _carved(free: _Boxes, row_M: Values) -> tuple[_Boxes, _Boxes]:
    """Splits boxes into the parts that a row does not dominate and those that it does, axis by axis."""
    hit_B = np.all(free.upper_BM > row_M, axis=1)
    lower_BM, upper_BM = free.lower_BM[hit_B], free.upper_BM[hit_B]
    lowers, uppers = [free.lower_BM[~hit_B]], [free.upper_BM[~hit_B]]
    for axis, value in enumerate(row_M):
        below_B = lower_BM[:, axis] < value
        piece = upper_BM[below_B]
        piece[:, axis] = value
        lowers.append(lower_BM[below_B])
        uppers.append(piece)
        lower_BM = lower_BM.copy()
        lower_BM[:, axis] = np.maximum(lower_BM[:, axis], value)
    return _Boxes(np.concatenate(lowers), np.concatenate(uppers)), _Boxes(lower_BM, upper_BM)


def _volumes(boxes: _Boxes, values_PM: Values) -> NDArray[np.float64]:
    """Returns the volume of the boxes that each row alone dominates."""
    volume_P = np.zeros(len(values_PM))
    for lower_M, upper_M in zip(*boxes, strict=True):
        volume_P += np.prod(np.maximum(upper_M - np.maximum(lower_M, values_PM), 0.0), axis=1)
    return volume_P


def thin(values_PM: Values, most: int) -> Positions:
    """Selects at most `most` rows of a front that keep much of its hypervolume, in the front's order.

    The best value of every objective is always kept; then rows are added greedily by contribution. Axes are scaled by
    the front's extent, so that units do not matter.
    """
    front = non_dominated(values_PM)
    if len(front) <= most:
        return front
    low, high = values_PM[front].min(axis=0), values_PM[front].max(axis=0)
    scaled = (values_PM[front] - low) / np.where(high > low, high - low, 1.0)
    free = _everything(np.full(scaled.shape[1], 1.1))
    gains = _volumes(free, scaled)
    extremes = list(dict.fromkeys(int(i) for i in scaled.argmin(axis=0)))[:most]
    chosen: list[int] = []
    while len(chosen) < most:
        chosen.append(extremes[len(chosen)] if len(chosen) < len(extremes) else int(gains.argmax()))
        free, taken = _carved(free, scaled[chosen[-1]])
        gains -= _volumes(taken, scaled)
        gains[chosen[-1]] = -1.0
    return np.asarray(front[np.sort(np.asarray(chosen))], dtype=np.intp)
