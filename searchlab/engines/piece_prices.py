"""Prices of pieces: what every stage, head, gate and decision costs, from routes whose pieces were timed one by one.

The time of a piece depends on what ran before it. After a sample that left early, the first stages' weights are still
in the caches; after one that ran the whole network they are not (a sample that leaves at the first exit takes 25 % less
than the same pieces of whole passes). A stage is slower after a head than after a stage. So the cost of a piece is not
its own time. Each exit is timed in passes that all leave there, with and without the exits before it. The cost of heads
is the difference. The reloading of caches that a sample causes is then part of its own cost.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from searchlab.engines.route import Route
from searchlab.engines.segments import Piece, Segments, route_pieces
from searchlab.exits.scores import GATE
from searchlab.record import SegmentLatency

PRICE_TO_TIME = (0.5, 3.0)
"""Bounds for the cost of heads, gates and decisions, in multiples of their own time; beyond is a disturbance."""


@dataclass(frozen=True)
class _TimedRoute:
    """Measured times of a route: the mean of each of its pieces."""

    route: Route
    ms: Mapping[Piece, float]

    @property
    def total_ms(self) -> float:
        return sum(self.ms.values())


def prices_of_pieces(segments: Segments, ms: Mapping[Route, Sequence[float]]) -> SegmentLatency:
    """From the milliseconds of every route's pieces, the price of every stage, head, gate and decision.

    For rules with all exits in use, or with a single exit, the costs add up to the measured times.
    """
    timed = [
        _TimedRoute(route, dict(zip(route_pieces(segments, route), pieces_ms, strict=True)))
        for route, pieces_ms in ms.items()
    ]
    prices = _Prices(timed)
    exits = range(len(segments.heads))
    return SegmentLatency(
        stages_ms=prices.stages_ms(segments.cuts),
        heads_ms=tuple(prices.of("head", exit) for exit in exits),
        decision_ms={score: prices.decision_ms(score) for score in prices.decisions},
        gates_ms=tuple(prices.of("gate", exit) for exit in exits if ("gate", exit) in prices.pieces),
    )


def priced_pieces(segments: Segments, prices: SegmentLatency, route: Route) -> float:
    """What the prices say of a route, in milliseconds: a decision at every exit in use up to the last one, too."""
    price = {"stage": prices.stages_ms, "head": prices.heads_ms, "gate": prices.gates_ms}
    return sum(
        price[kind][at] if kind in price else prices.decision_ms[route.score or ""]
        for kind, at in route_pieces(segments, route)
        if kind != "class"
    )


class _Prices:
    """Costs of pieces, from their own times (means over all routes) and the times of whole routes."""

    def __init__(self, timed: Sequence[_TimedRoute]) -> None:
        self.timed = timed
        self.pieces: defaultdict[Piece, list[float]] = defaultdict(list)
        self.decisions: defaultdict[str, list[float]] = defaultdict(list)
        for each in timed:
            for piece, value in each.ms.items():
                (self.decisions[each.route.score or ""] if piece[0] == "decision" else self.pieces[piece]).append(value)
        self.factor = {gated: self._factor(gated) for gated in (False, True)}

    def of(self, kind: str, index: int) -> float:
        """Returns the cost of a head or gate; the own time of a stage or of finding the class."""
        time_ms = float(np.mean(self.pieces[kind, index]))
        return time_ms * self.factor[kind == "gate"] if kind in ("head", "gate") else time_ms

    def decision_ms(self, score: str) -> float:
        """Returns the cost of a decision."""
        return float(np.mean(self.decisions[score])) * self.factor[score == GATE]

    def added_ms(self, each: _TimedRoute) -> float:
        """Returns the cost of all heads, gates and decisions of a route."""
        score = each.route.score or ""
        hung = [piece for piece in each.ms if piece[0] in ("head", "gate", "decision")]
        return sum(self.decision_ms(score) if kind == "decision" else self.of(kind, at) for kind, at in hung)

    def stages_ms(self, cuts: Sequence[int]) -> tuple[float, ...]:
        """Returns stage costs, scaled between cuts, so that the sums match the routes without their heads.

        Finding the class occurs once per sample and is counted with the first stage.
        """
        class_ms, stages_ms, begin = self.of("class", 0), list[float](), 0
        for exit, cut in enumerate(cuts):
            leaving = [each.total_ms - self.added_ms(each) for each in self.timed if each.route.exit == exit]
            leg_ms = [self.of("stage", stage) for stage in range(begin, cut + 1)]
            left_ms = max(0.0, float(np.mean(leaving)) - class_ms - sum(stages_ms))
            stages_ms += [ms * left_ms / sum(leg_ms) for ms in leg_ms]
            begin = cut + 1
        return (stages_ms[0] + class_ms, *stages_ms[1:])

    def _factor(self, gated: bool) -> float:
        """Fits the factor from own times to costs of heads (or gates) and decisions, by least squares."""
        alone_ms = {each.route.exit: each.total_ms for each in self.timed if each.route.score is None}
        others = [each for each in self.timed if each.route.score and (each.route.score == GATE) == gated]
        pairs = []
        for each in others:
            own = sum(ms for (kind, at), ms in each.ms.items() if kind in ("head", "gate", "decision"))
            pairs.append((own - each.ms["head", each.route.exit], each.total_ms - alone_ms[each.route.exit]))
        squares = sum(own**2 for own, _ in pairs)
        least, most = PRICE_TO_TIME
        return min(most, max(least, sum(own * longer for own, longer in pairs) / squares)) if squares else 1.0
