"""Alternating timing of two classifiers over the same images (paper 000, "Timed Testing").

These functions take no lock: call them inside `isolation.measuring`.
Shape suffixes: C channels, H and W pixels, S sets, E epochs of a set, B bootstrap samples.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from searchlab.engines.engine import Run
from searchlab.operating_point import Estimate

Epochs = tuple[tuple[float, ...], ...]
"""Milliseconds per image, by set and epoch."""

RESAMPLES = 1000


@dataclass(frozen=True)
class Turns:
    """Numbers of epochs: warm-up of each classifier, then alternating sets: base, other, base, other ...

    The paper has two sets, and three for its small models.
    """

    warm_up: int = 2
    sets: int = 2
    epochs: int = 5


@dataclass(frozen=True)
class Alternated:
    """Times of both classifiers, for every epoch of every set."""

    base_ms: Epochs
    other_ms: Epochs

    def faster_percent(self, seed: int = 0) -> Estimate:
        """Returns the runtime saving of the other against the base in percent; negative if it is slower.

        Each set is represented by the median of its epochs. The 95 % bootstrap interval resamples sets, the same for
        both classifiers, then epochs within them. With one epoch, the interval is the value itself.
        """
        base_SE, other_SE = np.asarray(self.base_ms), np.asarray(self.other_ms)
        random, (sets, epochs) = np.random.default_rng(seed), base_SE.shape
        drawn_BS1 = random.integers(sets, size=(RESAMPLES, sets, 1))
        base_BSE, other_BSE = (
            every_SE[drawn_BS1, random.integers(epochs, size=(RESAMPLES, sets, epochs))]
            for every_SE in (base_SE, other_SE)
        )
        low, high = np.quantile(_saved_percent(base_BSE, other_BSE), (0.025, 0.975))
        value = float(_saved_percent(base_SE, other_SE))
        return Estimate(value, min(float(low), value), max(float(high), value))


def _saved_percent(base_SE: NDArray[np.float64], other_SE: NDArray[np.float64]) -> NDArray[np.float64]:
    """Resamples the last two axes, S and E."""
    base, other = (np.median(every, axis=-1).sum(axis=-1) for every in (base_SE, other_SE))
    return np.asarray(100 * (1 - other / base))


def alternating(
    base: Run,
    other: Run,
    images: Sequence[torch.Tensor],
    turns: Turns,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> Alternated:
    """Runs both over all `images` (each image_1CHW), one image at a time: the warm-up, then set after set."""
    assert images and turns.sets > 0 and turns.epochs > 0, (len(images), turns)

    def epochs_ms(run: Run, epochs: int) -> tuple[float, ...]:
        spent_ms = []
        for _ in range(epochs):
            start_ns = clock_ns()
            for image_1CHW in images:
                run(image_1CHW)
            spent_ms.append((clock_ns() - start_ns) / 1e6 / len(images))
        return tuple(spent_ms)

    for run in (base, other):
        epochs_ms(run, turns.warm_up)
    sets = [(epochs_ms(base, turns.epochs), epochs_ms(other, turns.epochs)) for _ in range(turns.sets)]
    base_ms, other_ms = zip(*sets, strict=True)
    return Alternated(base_ms, other_ms)
