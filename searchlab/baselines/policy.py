"""Policies: exit decisions beyond one score and one threshold per exit. Fitted on one table, used on others.

A new policy is a frozen dataclass of plain numbers that implements `Policy`, a function that fits it, and one line in
`rules.POLICY_FAMILIES`. Shapes: N samples, K exits of the table, E early ones (all but the last).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from searchlab.errors import unknown
from searchlab.exits.costs import Costs, exit_cost_macs, exit_cost_ms, total_cost
from searchlab.exits.frontier import FrontierSettings
from searchlab.exits.table import ExitTable
from searchlab.objective import Objective, latency_ms, macs
from searchlab.operating_point import Estimate, share_estimate
from searchlab.record import NetworkCost, Profile, SegmentLatency

Taken = NDArray[np.intp]
"""exit_N: the position in the table of the exit that each sample takes."""

FOLDS = 5


class Policy(Protocol):
    """Interface of a policy. A sample pays for the head of every exit in use up to the one that it takes."""

    @property
    def scores(self) -> tuple[str, ...]:
        """The scores computed at every exit in use but the last; they define the cost of a decision."""

    @property
    def exits(self) -> tuple[int, ...] | None:
        """The exits in use; None for all of the table."""

    def leaves_at(self, table: ExitTable) -> Taken:
        """Returns the exit of each sample of a table, without its labels."""


@dataclass(frozen=True)
class PolicyPoint:
    """Result of a policy on one split. `shares` and `correct_per_exit` follow the table's exits."""

    samples: int
    correct: int
    shares: tuple[float, ...]
    correct_per_exit: tuple[int, ...]
    macs: float
    latency_ms: float | None = None

    @property
    def accuracy(self) -> float:
        """Share of correct samples, 0 to 1."""
        return self.correct / self.samples

    @property
    def accuracy_estimate(self) -> Estimate:
        """Accuracy with its 95 % interval."""
        return share_estimate(self.correct, self.samples)


def policy_point(
    table: ExitTable,
    exit_N: Taken,
    profile: Profile,
    scores: tuple[str, ...] = (),
    exits: tuple[int, ...] | None = None,
) -> PolicyPoint:
    """Evaluates leaving at `exit_N`, where a decision computes `scores`; `exits` are those in use, or all.

    Costs are those of an exit rule that leaves alike (`costs`), to the last bit.

    Raises:
        UserError: no decision was measured.
    """
    cost = profile.cost
    used = tuple(range(table.exits)) if exits is None else exits
    assert np.isin(exit_N, used).all(), "a sample leaves at an exit that is not in use"
    left_K = np.bincount(exit_N, minlength=table.exits)
    right_N = table.correct_NK[np.arange(table.samples), exit_N]
    stayed: list[int] = (table.samples - np.cumsum(left_K[list(used)])[:-1]).tolist()
    ms = None
    if profile.latency is not None:
        ms = total_cost(_leaving_ms(cost, profile.latency, used, scores), table.samples, stayed) / table.samples
    return PolicyPoint(
        samples=table.samples,
        correct=int(np.count_nonzero(right_N)),
        shares=tuple((left_K / table.samples).tolist()),
        correct_per_exit=tuple(np.bincount(exit_N[right_N], minlength=table.exits).tolist()),
        macs=total_cost(exit_cost_macs(cost, used, _together(scores)), table.samples, stayed) / table.samples,
        latency_ms=ms,
    )


def driving(profile: Profile, settings: FrontierSettings) -> Objective:
    """Returns the cost that policies are fitted to: latency if measured and an objective, else MACs."""
    return latency_ms if profile.latency is not None and latency_ms in settings.objectives else macs


def relative_costs(profile: Profile, settings: FrontierSettings, scores: tuple[str, ...]) -> Costs:
    """Returns cost_K of leaving at each exit, all in use, as a share of the last one's."""
    cost, latency = profile.cost, profile.latency
    exits = tuple(range(len(cost.heads)))
    if latency is not None and driving(profile, settings) == latency_ms:
        cost_K = _leaving_ms(cost, latency, exits, scores)
    else:
        cost_K = exit_cost_macs(cost, exits, _together(scores))
    return np.asarray(cost_K / cost_K[-1]) if cost_K[-1] else cost_K


def first_exit(leaves_NE: NDArray[np.bool_]) -> Taken:
    """Returns the first early exit where a sample leaves, else the last exit."""
    return np.asarray(np.pad(leaves_NE, ((0, 0), (0, 1)), constant_values=True).argmax(axis=1))


def held_out(samples: int) -> list[NDArray[np.bool_]]:
    """Returns fold masks in a fixed shuffled order: every sample is in exactly one of `FOLDS`.

    For a single sample there is no mask.
    """
    folds = min(FOLDS, samples) if samples > 1 else 0
    fold_N = np.random.default_rng(0).permutation(samples) % max(folds, 1)
    return [fold_N == fold for fold in range(folds)]


def _together(scores: Sequence[str]) -> str:
    return "+".join(scores)


def _leaving_ms(cost: NetworkCost, latency: SegmentLatency, exits: tuple[int, ...], scores: tuple[str, ...]) -> Costs:
    """Returns the milliseconds of leaving at each exit in use, where a decision computes all of `scores`.

    A score without a measured decision gets the largest measured decision latency.
    """
    if not latency.decision_ms:
        raise unknown("score", _together(scores), (), where="measured decision latencies")
    dearest = max(latency.decision_ms.values())
    decision = sum(latency.decision_ms.get(score, dearest) for score in scores)
    return exit_cost_ms(cost, replace(latency, decision_ms={_together(scores): decision}), exits, _together(scores))
