"""Threshold grid: the thresholds that the search tries at each exit. Shapes: N samples, K exits.

B levels per exit are at most B - 1 finite thresholds and "never". A sample's level at an exit is how many of its
thresholds it reaches; under threshold number t (counted from 0) it stays if its level is at most t.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from searchlab.exits.scores import Scores

Thresholds = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """Ascending finite thresholds per exit (never follows them), and every sample's level, levels_KN."""

    thresholds: tuple[Thresholds, ...]
    levels_KN: NDArray[np.intp]

    def sizes(self, exits: Sequence[int]) -> tuple[int, ...]:
        """Returns the number of thresholds, never included, of each of these exits."""
        return tuple(len(self.thresholds[k]) + 1 for k in exits)


def quantile_thresholds(score_N: NDArray[np.float64], levels: int) -> Thresholds:
    """Returns at most `levels` - 1 distinct thresholds at equal steps of the share that leaves; the lowest takes all.

    Each lies halfway between two neighbouring scores, so that rounding on another device changes no decision.
    """
    ordered = np.sort(score_N)
    lowest = np.unique(ordered[np.arange(levels - 1) * len(ordered) // (levels - 1)])
    below = ordered[np.maximum(np.searchsorted(ordered, lowest) - 1, 0)]
    # With "gate" every score at the last exit is infinite; no threshold is used there.
    with np.errstate(invalid="ignore"):
        halfway = below + (lowest - below) / 2
    return np.asarray(np.where(halfway > below, halfway, lowest))


def make_grid(score_NK: Scores, levels: int, extra: Sequence[Sequence[float]] = ()) -> Grid:
    """Makes the finest grid: quantiles of each exit's score, and `extra` thresholds per exit."""
    thresholds = []
    for k, score_N in enumerate(score_NK.T):
        own = np.asarray(extra[k] if k < len(extra) else (), dtype=np.float64)
        thresholds.append(np.unique(np.concatenate((quantile_thresholds(score_N, levels), own[np.isfinite(own)]))))
    levels_KN = [np.searchsorted(t, s, side="right") for t, s in zip(thresholds, score_NK.T, strict=True)]
    return Grid(tuple(thresholds), np.stack(levels_KN))


def coarser(grid: Grid, levels: int) -> Grid:
    """Thins a grid to at most this many levels per exit."""
    kept = [
        np.unique(np.linspace(0, len(t) - 1, min(levels - 1, len(t))).round().astype(np.intp)) for t in grid.thresholds
    ]
    thresholds = tuple(t[k] for t, k in zip(grid.thresholds, kept, strict=True))
    levels_KN = [np.searchsorted(k, level_N) for k, level_N in zip(kept, grid.levels_KN, strict=True)]
    return Grid(thresholds, np.stack(levels_KN))


def grids_by_size(finest: Grid, most_exits: int, max_vectors: int) -> list[Grid]:
    """Returns the grids for rules of 1, 2 .. `most_exits` exits, each a subset of the one before.

    A grid is made coarser where one subset of that size would have over `max_vectors` threshold vectors, or all subsets
    of that size together over four times as many.
    """
    exits = len(finest.thresholds)
    grids = [finest]
    for size in range(2, most_exits + 1):
        allowed = min(max_vectors, 4 * max_vectors // comb(exits, size))
        levels = max(2, int(allowed ** (1 / (size - 1)) + 1e-9))
        largest = max(len(t) + 1 for t in grids[-1].thresholds)
        grids.append(grids[-1] if levels >= largest else coarser(grids[-1], levels))
    return grids
