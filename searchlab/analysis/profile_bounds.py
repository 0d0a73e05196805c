"""Bounds of networks that are not measured yet: which of them cannot be on a device's front whatever their latency.

Shapes: P points, M objectives.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from searchlab.exits.costs import exit_cost_macs, exit_cost_ms
from searchlab.exits.frontier import FrontierSettings, exact_frontier
from searchlab.exits.scores import GATE, available_scores
from searchlab.exits.table import load_table
from searchlab.front.pareto import Values, values_of
from searchlab.front.points import entries_of
from searchlab.objective import latency_ms
from searchlab.operating_point import Frontier
from searchlab.record import NetworkCost, Profile, SegmentCost, SegmentLatency, TrialRecord
from searchlab.study import Study
from searchlab.trial_files import TABLE

MARGIN = 2.0
"""How many times as many MACs, or parameters, per millisecond a network may do as the fastest one measured so far."""

MOST_POINTS = 200
"""Largest number of points of a frontier that bounds a network."""

AMOUNTS = ("macs", "params")


def frontier_with(study: Study, record: TrialRecord, prices: SegmentLatency, most: int = 50) -> Frontier:
    """Returns a trial's frontier with other prices, from its stored exit table, as the trial computed its own.

    Raises:
        UserError: the exit table is missing or damaged.
    """
    assert record.cost is not None
    scores = available_scores(study.scores, gated=bool(record.candidate.gates))
    settings = FrontierSettings(
        study.objectives, scores, study.thresholds_per_exit, most, min_accuracy=study.min_accuracy
    )
    return exact_frontier(load_table(Path(record.directory) / TABLE), Profile(record.cost, prices), settings)


@dataclass
class Bounds:
    """Least latencies of a study's networks on a device, from what was measured there so far.

    No network is taken to do more than `MARGIN` times as many MACs, or to pass as many parameters, per millisecond as
    the fastest one measured. One whose points are all dominated even then is out of reach of the front.
    """

    study: Study
    _fastest: dict[str, float] = field(default_factory=lambda: dict.fromkeys(AMOUNTS, 0.0))
    _measured: list[Values] = field(default_factory=list)
    _cheapest: dict[tuple[int, str], Values] = field(default_factory=dict)

    def add(self, record: TrialRecord) -> None:
        """Adds a network with its latency and frontier on the device."""
        assert record.cost is not None and record.latency is not None
        for amount in AMOUNTS:
            rate = _fastest_rate(_counting(record.cost, amount), record.latency.segments)
            self._fastest[amount] = max(self._fastest[amount], rate)
        points = [point for _, point in entries_of(record, self.study)]
        self._measured.append(values_of(points, self.study.objectives))

    def out_of_reach(self, record: TrialRecord) -> bool:
        """Whether a network cannot be on the front.

        Raises:
            UserError: its exit table is missing or damaged.
        """
        if not self._measured:
            return False
        found_PM = np.concatenate(self._measured)
        return any(self._dominated(record, amount, found_PM) for amount in AMOUNTS)

    def skips(self, record: TrialRecord) -> bool:
        """Whether a network is known to be out of reach: its frontier at least costs was computed already."""
        return (record.number, AMOUNTS[0]) in self._cheapest and self.out_of_reach(record)

    def _dominated(self, record: TrialRecord, amount: str, found_PM: Values) -> bool:
        least_PM = self._least(record, amount)
        return all(np.any(np.all(found_PM <= least_M, axis=1)) for least_M in least_PM)

    def _least(self, record: TrialRecord, amount: str) -> Values:
        """Returns values_PM of the network's points at the least latency that MACs, or parameters, allow."""
        key = (record.number, amount)
        if key not in self._cheapest:
            assert record.cost is not None
            prices = _as_prices(_counting(record.cost, amount), available_scores(self.study.scores, gated=True))
            frontier = frontier_with(self.study, record, prices, MOST_POINTS)
            points = [point for point in frontier.points if point.accuracy >= self.study.min_accuracy]
            self._cheapest[key] = values_of(points, self.study.objectives)
        least_PM = self._cheapest[key].copy()
        if latency_ms in self.study.objectives:
            least_PM[:, self.study.objectives.index(latency_ms)] /= MARGIN * self._fastest[amount]
        return least_PM


def _counting(cost: NetworkCost, amount: str) -> NetworkCost:
    """Returns a cost whose MACs are the amount."""

    def counted(parts: Sequence[SegmentCost]) -> tuple[SegmentCost, ...]:
        return tuple(replace(part, macs=getattr(part, amount)) for part in parts)

    return replace(cost, stages=counted(cost.stages), heads=counted(cost.heads), gates=counted(cost.gates))


def _as_prices(cost: NetworkCost, scores: Sequence[str]) -> SegmentLatency:
    """Returns prices of one millisecond per MAC, in which decisions cost nothing."""
    stages, heads, gates = (tuple(float(part.macs) for part in each) for each in (cost.stages, cost.heads, cost.gates))
    return SegmentLatency(stages, heads, dict.fromkeys(scores, 0.0), gates)


def _fastest_rate(cost: NetworkCost, prices: SegmentLatency) -> float:
    """Returns the most MACs per millisecond over the network's exits, each used alone."""
    score = next(score for score in prices.decision_ms if score != GATE or len(prices.decision_ms) == 1)
    alone = [[exit] for exit in range(len(cost.heads))]
    rates = [exit_cost_macs(cost, k, score)[0] / exit_cost_ms(cost, prices, k, score)[0] for k in alone]
    return float(max(rates))
