"""Costs of leaving at each exit, and mean costs of a rule. K' is the number of exits in use.

A sample pays for the stages up to the cut of the exit it takes, for the heads of the used exits up to and including
that one, and (in latency) for a decision at each of them that is not the last in use. With the score "gate"
it pays for the gate of every used exit that it reaches, and for the head of the exit that it takes. The last exit in
use takes every remaining sample, so no gate is run there. An unused exit costs nothing. With gates, a later exit may be
cheaper than an earlier one with a large head.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchlab.errors import unknown
from searchlab.exits.scores import GATE
from searchlab.record import NetworkCost, SegmentLatency

Costs = NDArray[np.float64]
"""cost_K': cost per sample of leaving at each exit in use."""


@dataclass(frozen=True)
class _Parts:
    """One kind of cost of every stage, head and gate, and of one decision."""

    stages: Sequence[float]
    heads: Sequence[float]
    gates: Sequence[float]
    decision: float = 0.0


def exit_cost_macs(cost: NetworkCost, exits: Sequence[int], score: str) -> Costs:
    """Returns the MACs of leaving at each exit in use, with this score."""
    stages, heads, gates = ([part.macs for part in parts] for parts in (cost.stages, cost.heads, cost.gates))
    return _leaving_costs(_Parts(stages, heads, gates), cost.cuts, exits, score)


def exit_cost_ms(cost: NetworkCost, latency: SegmentLatency, exits: Sequence[int], score: str) -> Costs:
    """Returns the milliseconds of leaving at each exit in use, with a decision by `score` at each but the last.

    Raises:
        UserError: the decision by this score was not measured.
    """
    if score not in latency.decision_ms:
        raise unknown("score", score, latency.decision_ms, where="measured decision latencies")
    parts = _Parts(latency.stages_ms, latency.heads_ms, latency.gates_ms, latency.decision_ms[score])
    return _leaving_costs(parts, cost.cuts, exits, score)


def _leaving_costs(parts: _Parts, cuts: Sequence[int], exits: Sequence[int], score: str) -> Costs:
    reached = np.cumsum(np.asarray(parts.stages, dtype=np.float64))[[cuts[k] for k in exits]]
    heads = np.asarray([parts.heads[k] for k in exits], dtype=np.float64)
    decisions = np.minimum(np.arange(1, len(exits) + 1), len(exits) - 1)
    if score == GATE:
        asked = np.asarray([*(parts.gates[k] for k in exits[:-1]), 0.0], dtype=np.float64)
        return np.asarray(reached + np.cumsum(asked) + heads + decisions * parts.decision)
    return np.asarray(reached + np.cumsum(heads) + decisions * parts.decision)


def deployed_params(cost: NetworkCost, exits: Sequence[int], score: str) -> int:
    """Returns the parameters to deploy: stages up to the last cut in use, heads in use, and with "gate" the gates."""
    stages = cost.stages[: cost.cuts[exits[-1]] + 1]
    heads = [cost.heads[k] for k in exits]
    gates = [cost.gates[k] for k in exits[:-1]] if score == GATE else []
    return sum(part.params for part in (*stages, *heads, *gates))


def total_cost(cost_K: Costs, samples: int, stayed: Sequence[int]) -> float:
    """Returns the total cost of all samples, from the numbers that stayed past each exit in use but the last.

    The frontier's search adds in the same order, so that both agree to the last bit.
    """
    total = float(cost_K[0]) * samples
    for k, count in enumerate(stayed, start=1):
        total += float(cost_K[k] - cost_K[k - 1]) * count
    return total
