"""Prices from totals: what every stage, head, gate and decision costs, from passes that can only be timed whole.

One call runs a compiled graph from the image to the class, so nothing is seen inside it. Prices are differences between
routes: an exit alone gives the stages up to its cut and its head; the same exit with all others before it in use gives
their heads and the decisions; one score more at the first exit gives its decision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from searchlab.engines.route import Route
from searchlab.exits.scores import GATE
from searchlab.record import SegmentLatency

LEAST_SHARE = 0.02
"""Least weight of a stage in its leg, as a share of the leg's MACs: a stage without MACs takes time, too."""

SLIGHT = 1e-4
"""Weight of wishes about what no route shows, relative to what routes show."""


@dataclass(frozen=True)
class Weights:
    """Weights that divide what routes only show together: the MACs of every stage and head."""

    cuts: tuple[int, ...]
    stages: tuple[float, ...]
    heads: tuple[float, ...]


def routes_of_totals(exits: int, scores: Sequence[str]) -> list[Route]:
    """Every exit alone; every exit with those before it, by one score and by gates; other scores at the first exit."""
    alone = [Route(exit) for exit in range(exits)]
    if exits == 1:
        return alone
    of_logits = [score for score in scores if score != GATE]
    everywhere = [*of_logits[:1], *([GATE] if GATE in scores else [])]
    return [
        *alone,
        *(Route(exit, score) for score in everywhere for exit in range(exits)),
        *(Route(0, score) for score in of_logits[1:]),
    ]


def prices_of_totals(weights: Weights, scores: Sequence[str], ms: Mapping[Route, float]) -> SegmentLatency:
    """The prices, none negative, that explain the milliseconds of all routes best, in relative terms.

    The final head and the leg before it are only ever paid together: they share their time by MACs, as do the stages of
    a leg. Where there is one exit, nothing is decided, and decisions cost nothing.
    """
    exits = len(weights.cuts)
    gated = GATE in scores
    unknowns = _Unknowns(exits, tuple(scores), exits - 1 if gated else 0)
    rows = [unknowns.row(route) / total_ms for route, total_ms in ms.items()]
    wanted = [1.0] * len(rows)
    typical_ms = float(np.mean(list(ms.values())))
    last_leg = sum(weights.stages[_begin(weights.cuts, exits - 1) :])
    together = unknowns.zeros()
    together[unknowns.head(exits - 1)], together[unknowns.leg(exits - 1)] = last_leg, -weights.heads[-1]
    rows.append(SLIGHT * together / (typical_ms * max(1.0, last_leg + weights.heads[-1])))
    rows += list(SLIGHT**2 * np.eye(unknowns.count) / typical_ms)
    found = nnls(np.asarray(rows), np.asarray([*wanted, *([0.0] * (1 + unknowns.count))]))[0]
    return SegmentLatency(
        stages_ms=_shared(weights, [float(found[unknowns.leg(exit)]) for exit in range(exits)]),
        heads_ms=tuple(float(found[unknowns.head(exit)]) for exit in range(exits)),
        decision_ms={score: float(found[unknowns.decision(score)]) if exits > 1 else 0.0 for score in scores},
        gates_ms=tuple(float(found[unknowns.gate(exit)]) for exit in range(unknowns.gates)),
    )


def priced_total(cuts: Sequence[int], prices: SegmentLatency, route: Route) -> float:
    """What the prices say of a route, in milliseconds."""
    unknowns = _Unknowns(len(cuts), tuple(prices.decision_ms), len(prices.gates_ms))
    legs_ms = [sum(prices.stages_ms[_begin(cuts, exit) : cut + 1]) for exit, cut in enumerate(cuts)]
    values = [*legs_ms, *prices.heads_ms, *prices.gates_ms, *prices.decision_ms.values()]
    return float(unknowns.row(route) @ np.asarray(values))


@dataclass(frozen=True)
class _Unknowns:
    """Places of the unknown prices in a row: legs, heads, gates, decisions."""

    exits: int
    scores: tuple[str, ...]
    gates: int

    @property
    def count(self) -> int:
        return 2 * self.exits + self.gates + len(self.scores)

    def leg(self, exit: int) -> int:
        return exit

    def head(self, exit: int) -> int:
        return self.exits + exit

    def gate(self, exit: int) -> int:
        return 2 * self.exits + exit

    def decision(self, score: str) -> int:
        return 2 * self.exits + self.gates + self.scores.index(score)

    def zeros(self) -> NDArray[np.float64]:
        return np.zeros(self.count)

    def row(self, route: Route) -> NDArray[np.float64]:
        """How often a sample on this route pays each of the prices."""
        row = self.zeros()
        row[: route.exit + 1] = 1
        row[self.head(route.exit)] = 1
        if route.score is None:
            return row
        decisions = min(route.exit + 1, self.exits - 1)
        row[self.decision(route.score)] = decisions
        first = self.gate(0) if route.score == GATE else self.head(0)
        row[first : first + decisions] = 1
        return row


def _begin(cuts: Sequence[int], exit: int) -> int:
    return cuts[exit - 1] + 1 if exit else 0


def _shared(weights: Weights, legs_ms: Sequence[float]) -> tuple[float, ...]:
    stages_ms: list[float] = []
    for exit, (cut, leg_ms) in enumerate(zip(weights.cuts, legs_ms, strict=True)):
        own = np.asarray(weights.stages[_begin(weights.cuts, exit) : cut + 1], dtype=np.float64)
        own = np.maximum(own, LEAST_SHARE * own.sum() if own.sum() else 1.0)
        stages_ms += (leg_ms * own / own.sum()).tolist()
    return tuple(stages_ms)
