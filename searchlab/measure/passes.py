"""Timed passes of a network, whole or in pieces, in short blocks that alternate in random order.

Shape suffixes: R rounds, P passes of a block, I pieces of a pass.
"""

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from searchlab.engines.engine import Pass
from searchlab.measure.clocks import Clock, CpuClock

Timed = Callable[[], list[float]]
"""One pass: returns the milliseconds of its pieces. It ends with a value on the host, so no work is pending."""

MsRPI = NDArray[np.float64]

Key = TypeVar("Key")

BLOCK_MS = 3.0
UNCOUNTED = 2
SETTLED = 0.05
OVERTIME = 3
WARM_UP_SHARE = 0.03


@contextmanager
def quiet_host(threads: int) -> Iterator[None]:
    """Sets torch's threads and disables garbage collection during a block; restores both afterwards."""
    threads_before, collects = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(threads)
    gc.disable()
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        if collects:
            gc.enable()


def timed_pass(one: Pass, clock: Clock | None = None) -> Timed:
    """Makes a timed pass of an engine's: the milliseconds of its pieces, by the clock; default: the host's."""
    clock = clock or CpuClock()

    def run() -> list[float]:
        clock.start()
        one(clock.stamp)
        clock.stamp()
        return clock.intervals_ms()

    return run


def block_orders(kinds: Sequence[Key], seed: int) -> Iterator[list[Key]]:
    """Returns an order of all kinds for every round; it depends on the seed alone."""
    generator = random.Random(seed)
    while True:
        yield generator.sample(kinds, len(kinds))


def warm_up(timed: Timed, budget_s: float) -> float:
    """Runs passes until the median of five is close to that of the five before; returns it, in milliseconds."""
    stop_s = time.perf_counter() + budget_s
    before_ms, median_ms = 0.0, _median_ms(timed)
    while abs(median_ms - before_ms) > SETTLED * median_ms and time.perf_counter() < stop_s:
        before_ms, median_ms = median_ms, _median_ms(timed)
    return median_ms


def _median_ms(timed: Timed, passes: int = 5) -> float:
    return statistics.median(sum(timed()) for _ in range(passes))


def interleaved(
    passes: Mapping[Key, Timed], *, budget_s: float, seed: int, fewest_rounds: int, between: Key | None = None
) -> dict[Key, MsRPI]:
    """Runs blocks of passes of every kind, round after round, until the budget is spent: ms_RPI by kind.

    `fewest_rounds` are run even over the budget, but for at most a few times the budget (on a slow or busy machine).

    Switching networks evicts caches, so the first passes of a block are discarded. A residual effect remains (2.5 % for
    a resnet20 against itself). Therefore a block of the kind `between` follows every other block, so that each network
    always runs after the other one.
    """
    stop_s = time.perf_counter() + budget_s
    patience_s = stop_s + OVERTIME * budget_s + 2.0
    lengths = {kind: block_length(warm_up(timed, WARM_UP_SHARE * budget_s)) for kind, timed in passes.items()}
    blocks: dict[Key, list[list[list[float]]]] = {kind: [] for kind in passes}
    kinds = [kind for kind in passes if kind != between]
    rounds = 0
    for order in block_orders(kinds, seed):
        enough = rounds >= (fewest_rounds if time.perf_counter() < patience_s else 2)
        if enough and time.perf_counter() > stop_s:
            break
        for kind in order:
            for block in (kind,) if between is None else (kind, between):
                for _ in range(UNCOUNTED):
                    passes[block]()
                blocks[block].append([passes[block]() for _ in range(lengths[block])])
        rounds += 1
    return {kind: _by_round(ms_BPI, rounds) for kind, ms_BPI in blocks.items()}


def _by_round(blocks: list[list[list[float]]], rounds: int) -> MsRPI:
    """Concatenates all blocks of a round."""
    ms_BPI = np.asarray(blocks, dtype=np.float64)
    return ms_BPI.reshape(rounds, -1, ms_BPI.shape[-1])


def block_length(pass_ms: float) -> int:
    """Returns how many passes of a block count: fewer for slow passes."""
    return min(8, max(2, round(BLOCK_MS / pass_ms)))
