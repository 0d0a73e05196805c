"""Exact evaluation of all threshold vectors of some exits in one pass: errors and total cost.

With stay_k(t) the number of samples that pass the first k exits under thresholds t, and lost_k(t) how many more of
those exit k gets wrong than exit k-1 does, sums over exits telescope:

    wrong(t) = wrong_0 + sum_k lost_k(t)        cost(t) = N cost_0 + sum_k (cost_k - cost_{k-1}) stay_k(t)

stay_k and lost_k depend on the first k thresholds alone, and are histograms over the samples' first k levels, cumulated
along every axis. So only the last of them is as large as the number of vectors. Counts are integers; the cost is added
in the order of `costs.total_cost`.

Shapes: N samples, K' exits in use, R rows (all thresholds but the last), L levels of the last threshold.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchlab.exits.costs import Costs

Counts = NDArray[np.int32]

BLOCK = 1 << 15
"""Vectors per block, few enough for the processor's cache."""


@dataclass(frozen=True)
class Tally:
    """Counts over all threshold vectors: `stayed[k]` and `lost[k]` over the first k+1 thresholds."""

    samples: int
    wrong_first: int
    stayed: tuple[Counts, ...]
    lost: tuple[Counts, ...]

    @property
    def vectors(self) -> int:
        """The number of threshold vectors."""
        return self.stayed[-1].size if self.stayed else 1


def tally(levels: Sequence[NDArray[np.intp]], correct: Sequence[NDArray[np.bool_]], sizes: Sequence[int]) -> Tally:
    """Counts errors and stays of every threshold vector.

    Args:
        levels: each sample's level (N) at every used exit but the last.
        correct: whether each sample is right (N) at every used exit.
        sizes: how many thresholds, never included, every used exit but the last has.
    """
    samples = len(correct[0])
    assert samples < 2**31
    cell_N = np.zeros(samples, dtype=np.intp)
    stayed, lost = [], []
    for k, size in enumerate(sizes):
        cell_N = cell_N * size + levels[k]
        shape = tuple(sizes[: k + 1])
        worse, better = correct[k] & ~correct[k + 1], correct[k + 1] & ~correct[k]
        stayed.append(_cumulated(cell_N, shape))
        lost.append(_cumulated(cell_N[worse], shape, cell_N[better]))
    return Tally(samples, samples - int(np.count_nonzero(correct[0])), tuple(stayed), tuple(lost))


def _cumulated(plus: NDArray[np.intp], shape: tuple[int, ...], minus: NDArray[np.intp] | None = None) -> Counts:
    """Returns a histogram of cells, cumulated along every axis."""
    counts = np.zeros(shape, dtype=np.int32)
    np.add.at(counts.reshape(-1), plus, np.int32(1))
    if minus is not None:
        np.subtract.at(counts.reshape(-1), minus, np.int32(1))
    for axis in range(len(shape) - 1):
        # Adding whole slices uses vector instructions; numpy's cumsum does not.
        slices = np.moveaxis(counts, axis, 0)
        for i in range(1, len(slices)):
            slices[i] += slices[i - 1]
    np.cumsum(counts, axis=-1, out=counts)
    return counts


def blocks(of: Tally, costs: Sequence[Costs]) -> Iterator[tuple[int, list[NDArray[Any]]]]:
    """Yields blocks of vectors: the position of the first in C order, then errors (intp) and every total cost.

    The arrays are overwritten by the next block.
    """
    wrong_R = np.full((), of.wrong_first, dtype=np.intp)
    totals_R = [np.full((), float(cost_K[0]) * of.samples) for cost_K in costs]
    if not of.stayed:
        yield 0, [wrong_R.reshape(1), *(total.reshape(1) for total in totals_R)]
        return
    for k, (stayed, lost) in enumerate(zip(of.stayed[:-1], of.lost[:-1], strict=True), start=1):
        wrong_R = wrong_R[..., None] + lost
        steps = [float(cost_K[k] - cost_K[k - 1]) for cost_K in costs]
        totals_R = [total[..., None] + step * stayed for total, step in zip(totals_R, steps, strict=True)]
    width = of.stayed[-1].shape[-1]
    stayed_RL, lost_RL = of.stayed[-1].reshape(-1, width), of.lost[-1].reshape(-1, width)
    rows = min(len(stayed_RL), max(1, BLOCK // width))
    wrong = np.empty((rows, width), dtype=np.intp)
    totals = [np.empty((rows, width)) for _ in costs]
    for start in range(0, len(stayed_RL), rows):
        part = slice(start, start + rows)
        here = len(stayed_RL[part])
        out = [np.add(wrong_R.reshape(-1, 1)[part], lost_RL[part], out=wrong[:here])]
        for cost_K, total_R, total in zip(costs, totals_R, totals, strict=True):
            np.multiply(stayed_RL[part], float(cost_K[-1] - cost_K[-2]), out=total[:here])
            out.append(np.add(total_R.reshape(-1, 1)[part], total[:here], out=total[:here]))
        yield start * width, [array.reshape(-1) for array in out]
