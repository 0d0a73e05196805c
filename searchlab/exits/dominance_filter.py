"""Dominance filter: drops points that an earlier point dominates, with one table look-up each.

Points have M values, each to be minimised. The table has one axis for every value but the last, divided into cells.
It stores the smallest last value up to each cell. With single integers as cells the filter is exact. With wider cells
it passes a few dominated points, and never drops a point that no passed point weakly dominates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Axis:
    """Cells for values from `low` to `high`. `exact`: values are integers from 0, one cell each."""

    low: float
    high: float
    cells: int
    exact: bool = False

    def cell(self, values_P: NDArray[Any]) -> NDArray[np.intp]:
        """Returns the cell of every value; cells are monotonic in the value."""
        if self.exact:
            return np.asarray(values_P, dtype=np.intp)
        scale = self.cells / (self.high - self.low) if self.high > self.low else 0.0
        return np.clip(((values_P - self.low) * scale).astype(np.intp), 0, self.cells - 1)


class Sieve:
    """Passes points that no earlier point weakly dominates, within the resolution of its cells.

    With wide cells a point is entered in the next cell, so that a look-up finds only points that are truly lower.
    """

    def __init__(self, axes: Sequence[Axis]) -> None:
        self._axes = tuple(axes)
        self._best = np.full([axis.cells + 1 for axis in axes], np.inf)
        self._shift = 0
        for axis, stride in zip(axes, self._best.strides, strict=True):
            self._shift += 0 if axis.exact else stride // self._best.itemsize

    def let_through(self, values: Sequence[NDArray[Any]]) -> NDArray[np.intp]:
        """Returns the positions of points (one array P per value) that may belong to the front, and adds them."""
        last_P = values[-1]
        cell_P = np.broadcast_to(self._cells(values[:-1]), last_P.shape)
        new = np.flatnonzero(last_P < self._best.reshape(-1).take(cell_P))
        if len(new) == 0:
            return new
        cell_P, last_P = cell_P[new], last_P[new]
        np.minimum.at(self._best.reshape(-1), cell_P + self._shift, last_P)
        for axis in range(self._best.ndim):
            np.minimum.accumulate(self._best, axis=axis, out=self._best)
        return new[last_P <= self._best.reshape(-1).take(cell_P)]

    def _cells(self, values: Sequence[NDArray[Any]]) -> NDArray[np.intp]:
        cells = [axis.cell(values_P) for axis, values_P in zip(self._axes, values, strict=True)]
        if not cells:
            return np.zeros((), dtype=np.intp)
        cell_P = cells[0]
        for axis, next_P in zip(self._axes[1:], cells[1:], strict=True):
            cell_P = cell_P * (axis.cells + 1) + next_P
        return cell_P
