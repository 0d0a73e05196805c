"""Replicates of a front: results of its candidates with fresh seeds, and the selection bias of its points.

A point was selected by its accuracy on the validation split. The selection favours lucky seeds and thresholds, so this
accuracy is biased. Fresh seeds were not selected.

Intervals are 95 % Student t intervals of the mean over seeds. Two seeds give no interval: it would depend on one
difference, and be arbitrarily narrow by chance. Equal values for all seeds give none either. The images are the same
for every seed, so the intervals do not cover the choice of images.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev, variance
from typing import Literal

from pydantic.dataclasses import dataclass as noun
from scipy.special import stdtrit

from searchlab.front.points import FrontPoint
from searchlab.operating_point import ExitRule, OperatingPoint
from searchlab.record import TrialRecord
from searchlab.serialization import NOUN

Split = Literal["validation", "test"]

FEWEST_SEEDS = 3
"""Least number of seeds for an interval."""


ROUNDING = 1e-6
"""Tolerance of degrees of freedom for rounding."""


@noun(frozen=True, config=NOUN)
class Reading:
    """A point of a trial on a replicate of its candidate: the rule re-evaluated, on either split."""

    trial: int
    rule: ExitRule
    validation: OperatingPoint
    test: OperatingPoint


@dataclass(frozen=True)
class Replicate:
    """A repeated training of a trial's candidate; `run` counts its fresh seeds from 1."""

    trial: int
    run: int
    record: TrialRecord
    readings: tuple[Reading, ...] = ()


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with its 95 % interval; None if there are too few seeds.

    `ends` are the lower and the higher value of two seeds that differ, shown instead of an interval.
    """

    value: float
    interval: tuple[float, float] | None
    ends: tuple[float, float] | None = None


@dataclass(frozen=True)
class Repeated:
    """A point of the front as selected, and its reading on every replicate of its candidate, in order of runs."""

    picked: FrontPoint
    readings: tuple[Reading, ...]

    def values(self, name: str, split: Split) -> list[float]:
        """Returns a field ("accuracy", "latency_ms" ...) of every reading; empty if not measured."""
        found = [getattr(getattr(reading, split), name) for reading in self.readings]
        return [] if None in found else [float(value) for value in found]

    def mean(self, name: str, split: Split) -> Mean | None:
        """Returns the mean of a field over seeds, its interval within possible values; None without values."""
        values = self.values(name, split)
        return over_seeds(values, most=1.0 if name == "accuracy" else math.inf) if values else None


@dataclass(frozen=True)
class Optimism:
    """Means over `points` points: the accuracies of their selection, and those of fresh seeds.

    `lost` is the difference of the first two, both on the validation split: the selection bias.
    """

    points: int
    candidates: int
    picked: float
    validation: Mean
    test: Mean

    @property
    def lost(self) -> Mean:
        """Returns selected minus fresh accuracies, as shares: the selection bias. Selected ones are fixed numbers."""
        ends = self.validation.interval
        return Mean(self.picked - self.validation.value, ends and (self.picked - ends[1], self.picked - ends[0]))


def reach(seeds: int) -> float:
    """Returns the half-width of a 95 % t interval of a mean over so many seeds, in standard deviations."""
    return t_quantile(seeds - 1) / math.sqrt(seeds)


def t_quantile(freedom: float) -> float:
    """Returns the 97.5 % quantile of Student's t with so many degrees of freedom."""
    return float(stdtrit(freedom, 0.975))


def over_seeds(values: Sequence[float], most: float = math.inf) -> Mean:
    """Returns the mean of values within 0 to `most`, with its t interval, cut to that range."""
    value, ends = fmean(values), (min(values), max(values))
    if ends[0] == ends[1]:
        return Mean(value, None)
    if len(values) < FEWEST_SEEDS:
        return Mean(value, None, ends)
    half = reach(len(values)) * stdev(values)
    return Mean(value, (max(0.0, value - half), min(most, value + half)))


def repeated(points: Sequence[FrontPoint], replicates: Sequence[Replicate]) -> list[Repeated]:
    """Returns every point with its readings."""
    found: dict[tuple[int, ExitRule], list[Reading]] = {}
    for replicate in sorted(replicates, key=lambda replicate: replicate.run):
        for reading in replicate.readings:
            found.setdefault((reading.trial, reading.rule), []).append(reading)
    return [Repeated(p, tuple(found.get((p.record.number, p.point.rule), ()))) for p in points]


def optimism(front: Sequence[Repeated]) -> Optimism | None:
    """Returns mean selected and fresh accuracies of the points with readings; None if no point has any.

    Points of one candidate share its seeds, so each of its replicates is one observation: the mean over its points.
    Candidates weigh as many points as they have.
    """
    known = [point for point in front if point.readings]
    if not known:
        return None
    by_candidate: dict[str, list[Repeated]] = {}
    for point in known:
        by_candidate.setdefault(point.picked.record.candidate.id, []).append(point)
    weights = [len(points) / len(known) for points in by_candidate.values()]
    means = [stratified([_by_seed(points, split) for points in by_candidate.values()], weights) for split in _SPLITS]
    return Optimism(len(known), len(by_candidate), fmean(p.picked.point.accuracy for p in known), *means)


_SPLITS: tuple[Split, ...] = ("validation", "test")


def _by_seed(points: Sequence[Repeated], split: Split) -> list[float]:
    """Returns the mean accuracy over a candidate's points, seed by seed."""
    return [fmean(seed) for seed in zip(*(point.values("accuracy", split) for point in points), strict=True)]


def stratified(groups: Sequence[Sequence[float]], weights: Sequence[float]) -> Mean:
    """Returns the weighted mean of the groups' means, all of them shares, with its t interval, cut to 0 to 1.

    The groups are independent, with unequal variances: degrees of freedom by Welch (1947) and Satterthwaite (1946).
    There is no interval if a group has a single value, if all values are equal, or if there are no more degrees of
    freedom than with two values.
    """
    value = sum(weight * fmean(group) for weight, group in zip(weights, groups, strict=True))
    if min(map(len, groups)) < 2:
        return Mean(value, None)
    parts = [weight**2 * variance(group) / len(group) for weight, group in zip(weights, groups, strict=True)]
    total = sum(parts)
    if total == 0:
        return Mean(value, None)
    freedom = total**2 / sum(part**2 / (len(group) - 1) for part, group in zip(parts, groups, strict=True))
    if freedom < FEWEST_SEEDS - 1 - ROUNDING:
        return Mean(value, None)
    half = t_quantile(freedom) * math.sqrt(total)
    return Mean(value, (max(0.0, value - half), min(1.0, value + half)))
