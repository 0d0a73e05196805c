"""What leaving at each exit costs, and what a rule costs on average. K' is the number of exits in use.

A sample pays for the stages up to the cut of the exit it takes, for the heads of the used exits up to and including
that one, and (in latency) for a decision at each of them that is not the last in use. An exit left out costs nothing.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from searchlab.errors import unknown
from searchlab.record import NetworkCost, SegmentLatency

Costs = NDArray[np.float64]
"""cost_K': of leaving at each used exit, per sample."""


def leaving_costs(
    stages: Sequence[float], heads: Sequence[float], cuts: Sequence[int], exits: Sequence[int], decision: float = 0.0
) -> Costs:
    """cost_K' of leaving at each of `exits`, from the costs of all stages and heads and of one decision."""
    reached = np.cumsum(np.asarray(stages, dtype=np.float64))[[cuts[k] for k in exits]]
    passed = np.cumsum(np.asarray([heads[k] for k in exits], dtype=np.float64))
    decisions = np.minimum(np.arange(1, len(exits) + 1), len(exits) - 1)
    return np.asarray(reached + passed + decisions * decision)


def leaving_macs(cost: NetworkCost, exits: Sequence[int]) -> Costs:
    """MACs of leaving at each used exit."""
    return leaving_costs([s.macs for s in cost.stages], [h.macs for h in cost.heads], cost.cuts, exits)


def leaving_ms(cost: NetworkCost, latency: SegmentLatency, exits: Sequence[int], score: str) -> Costs:
    """Milliseconds of leaving at each used exit, where a decision by `score` is taken at each but the last.

    Raises:
        UserError: the decision by this score was not measured.
    """
    if score not in latency.decision_ms:
        raise unknown("score", score, latency.decision_ms, where="measured decision latencies")
    return leaving_costs(latency.stages_ms, latency.heads_ms, cost.cuts, exits, latency.decision_ms[score])


def deployed_params(cost: NetworkCost, exits: Sequence[int]) -> int:
    """Parameters that must be deployed: stages up to the last used exit's cut, and the heads in use."""
    stages = cost.stages[: cost.cuts[exits[-1]] + 1]
    return sum(part.params for part in (*stages, *(cost.heads[k] for k in exits)))


def total_cost(cost_K: Costs, samples: int, stayed: Sequence[int]) -> float:
    """What all samples cost together, from how many stayed past each used exit but the last.

    The frontier's search adds in the same order, so that both agree to the last bit.
    """
    total = float(cost_K[0]) * samples
    for k, count in enumerate(stayed, start=1):
        total += float(cost_K[k] - cost_K[k - 1]) * count
    return total
