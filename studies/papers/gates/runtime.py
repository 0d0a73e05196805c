"""Measured runtime on test sets of increasing sizes (paper 001, section 6), one image after the other.

Contenders are called by their names.

Shape suffixes: N images, C channels, H and W pixels, S sets, R rounds, B bootstrap samples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass as noun

from searchlab.lab import NOUN, Estimate, Run, block_orders, measuring, quiet_host, samples_pass, warm_up

SHARES = (0.125, 0.25, 0.5, 1.0)
"""Sizes of the sets, as shares of the largest."""

RESAMPLES = 1000


@dataclass(frozen=True)
class RuntimeOptions:
    """Size of a measurement: `images` in the largest set, fewer where all rounds would exceed `budget_s`."""

    images: int = 400
    rounds: int = 7
    budget_s: float = 30.0
    seed: int = 0


@noun(frozen=True, config=NOUN)
class SetRuntime:
    """Runtimes on one set of images: for each contender, milliseconds for the whole set, one value per round."""

    images: int
    ms: dict[str, tuple[float, ...]]


def runtimes(
    prepare: Callable[[], Mapping[str, Run]],
    images_NCHW: torch.Tensor,
    threads: int,
    options: RuntimeOptions = RuntimeOptions(),
) -> tuple[SetRuntime, ...]:
    """Time all contenders on every set, in isolation from other trials. A set is the first n images.

    In every round and for every set, the contenders run one after another in random order, so that disturbances affect
    all of them. `prepare` makes them, inside the lock.
    """
    with measuring(), quiet_host(threads):
        runs = prepare()
        sizes = _sizes(runs, images_NCHW, options)
        passes = {(n, name): samples_pass(run, images_NCHW[:n]) for n in sizes for name, run in runs.items()}
        ms: dict[tuple[int, str], list[float]] = {key: [] for key in passes}
        sets = block_orders(sizes, options.seed)
        turns = block_orders(list(runs), options.seed + 1)
        for order in islice(sets, options.rounds):
            for n in order:
                for name in next(turns):
                    ms[n, name].append(sum(passes[n, name]()))
    return tuple(SetRuntime(n, {name: tuple(ms[n, name]) for name in runs}) for n in sizes)


def _sizes(runs: Mapping[str, Run], images_NCHW: torch.Tensor, options: RuntimeOptions) -> list[int]:
    """Sizes of the sets that the budget allows, from the time that warmed-up contenders take for two images."""
    ms = sum(warm_up(samples_pass(run, images_NCHW[:2]), budget_s=0.5) / 2 for run in runs.values())
    affordable = int(1000 * options.budget_s / (ms * options.rounds * sum(SHARES)))
    largest = max(len(SHARES) * 2, min(options.images, affordable))
    return [max(1, round(share * min(largest, len(images_NCHW)))) for share in SHARES]


def seconds(found: SetRuntime, name: str) -> float:
    """Median runtime of a set."""
    return float(np.median(found.ms[name])) / 1000


def runtime_ratio(found: SetRuntime, name: str, other: str) -> Estimate:
    """Median over the rounds of one contender's runtime over the other's, with its 95 % bootstrap interval."""
    ratio_R = np.asarray(found.ms[name]) / np.asarray(found.ms[other])
    return _estimate(np.median(ratio_R[_draws_BR(len(ratio_R))], axis=1))


def slope_ms(sets: Sequence[SetRuntime], name: str) -> Estimate:
    """Milliseconds per further image: the slope of runtime against size, with its 95 % bootstrap interval."""
    return _estimate(_slope_B(sets, name))


def slope_ratio(sets: Sequence[SetRuntime], name: str, other: str) -> Estimate:
    """Ratio of two contenders' slopes; the same rounds are resampled for both."""
    return _estimate(_slope_B(sets, name) / _slope_B(sets, other))


def _slope_B(sets: Sequence[SetRuntime], name: str) -> NDArray[np.float64]:
    """Least-squares slopes through the medians: of the measured rounds first, then of every resample."""
    ms_SR = np.asarray([found.ms[name] for found in sets])
    median_SB = np.median(ms_SR[:, _draws_BR(ms_SR.shape[1])], axis=2)
    return np.asarray(np.polyfit([found.images for found in sets], median_SB, 1)[0])


def _draws_BR(rounds: int) -> NDArray[np.int64]:
    """Indices of rounds: the measured ones first, then the resamples."""
    resampled = np.random.default_rng(0).integers(rounds, size=(RESAMPLES, rounds))
    return np.concatenate((np.arange(rounds)[None], resampled))


def _estimate(value_B: NDArray[np.float64]) -> Estimate:
    low, high = np.quantile(value_B[1:], (0.025, 0.975))
    value = float(value_B[0])
    return Estimate(value, min(float(low), value), max(float(high), value))
