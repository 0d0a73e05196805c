"""Exit rules, operating points and frontiers."""

import math
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from searchlab.serialization import NOUN


@dataclass(frozen=True, config=NOUN)
class Estimate:
    """A measured number with its 95 % interval."""

    value: float
    low: float
    high: float


def share_estimate(hits: int, total: int) -> Estimate:
    """Estimates a share with its 95 % Wilson score interval (Wilson 1927), which is valid near 0 and 1 too."""
    assert 0 <= hits <= total and total > 0, (hits, total)
    z = 1.959963984540054
    share = hits / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    half /= 1 + z * z / total
    return Estimate(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def difference_estimate(gained: int, lost: int, samples: int) -> Estimate:
    """Estimates the difference of two shares of the same samples; `gained` by the first, `lost` by the second.

    The 95 % interval is the adjusted Wald of Bonett and Price (2012): it is valid even if the two differ in few
    samples.
    """
    assert min(gained, lost) >= 0 and gained + lost <= samples, (gained, lost, samples)
    more, less = (gained + 1) / (samples + 2), (lost + 1) / (samples + 2)
    half = 1.959963984540054 * math.sqrt((more + less - (more - less) ** 2) / (samples + 2))
    value, low, high = (gained - lost) / samples, more - less - half, more - less + half
    return Estimate(value, max(-1.0, min(value, low)), min(1.0, max(value, high)))


@dataclass(frozen=True, config=NOUN)
class ExitRule:
    """Exit rule: leave at the first exit in use whose score reaches its threshold.

    `exits` are positions in the exit table, ascending. The last one in use takes every remaining sample, so there is
    one threshold fewer than exits. A score equal to its threshold leaves.
    """

    score: str
    exits: Annotated[tuple[int, ...], Field(min_length=1)]
    thresholds: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.thresholds) != len(self.exits) - 1:
            raise ValueError("needs one threshold for every exit in use but the last")
        if list(self.exits) != sorted(set(self.exits)) or self.exits[0] < 0:
            raise ValueError("exits must be ascending positions without repetition")


@dataclass(frozen=True, config=NOUN)
class OperatingPoint:
    """An exit rule with its results on one split.

    `shares` and `correct_per_exit` follow `rule.exits`: the share of samples that left there, and how many of them
    were correct. `macs` and `latency_ms` are expectations over the samples; `latency_ms` is None if not measured.
    `params` counts what the point needs to be deployed: stages up to its last used exit, and the heads in use.
    """

    rule: ExitRule
    samples: Annotated[int, Field(ge=1)]
    correct: Annotated[int, Field(ge=0)]
    shares: tuple[float, ...]
    correct_per_exit: tuple[int, ...]
    macs: float
    params: int
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        if self.correct > self.samples:
            raise ValueError(f"correct must be from 0 to {self.samples}, the number of samples, not {self.correct}")
        if not len(self.shares) == len(self.correct_per_exit) == len(self.rule.exits):
            raise ValueError("needs one share and one number of correct samples for every exit in use")
        for share, right in zip(self.shares, self.correct_per_exit, strict=True):
            if not 0 <= right <= round(share * self.samples):
                raise ValueError(f"{right} of the {share:.2%} of {self.samples} samples at an exit cannot be right")

    @property
    def accuracy(self) -> float:
        """Share of correct samples, 0 to 1."""
        return self.correct / self.samples

    @property
    def accuracy_estimate(self) -> Estimate:
        """Accuracy with its 95 % interval."""
        return share_estimate(self.correct, self.samples)


@dataclass(frozen=True, config=NOUN)
class Frontier:
    """The non-dominated operating points of one network on one split, cheapest first."""

    split: str
    points: tuple[OperatingPoint, ...]


@dataclass(frozen=True, config=NOUN)
class Prediction:
    """Prediction of a classifier for one image.

    Attributes:
        image: its path, or its position in the input.
        confidence: the highest softmax probability, 0 to 1, at the exit where it left.
        exit: position in the exit table of the exit where it left; `cut` is the exit's cut, or "final".
    """

    image: str
    class_name: str
    class_index: int
    confidence: float
    exit: int
    cut: str
