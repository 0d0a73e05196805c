"""Latency model: times whole routes of samples through a network, and derives the cost of every piece.

The time of a piece depends on what ran before it. After a sample that left early, the first stages' weights are still
in the caches; after one that ran the whole network they are not (a sample that leaves at the first exit takes 25 % less
than the same pieces of whole passes). A stage is slower after a head than after a stage. So the cost of a piece is not
its own time. Each exit is timed in passes that all leave there, with and without the exits before it. The cost of heads
is the difference. The reloading of caches that a sample causes is then part of its own cost.

Shape suffixes: N images, C channels or classes, H and W pixels, R rounds, P passes of a block, I pieces of a pass.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from searchlab.exits.scores import GATE
from searchlab.measure.clocks import Clock, clock_for
from searchlab.measure.passes import MsRPI, Score, Timed
from searchlab.measure.quantiles import undisturbed_means
from searchlab.measure.segments import Segments, Step
from searchlab.record import SegmentLatency

Piece = tuple[str, int]
"""A kind ("stage", "head", "gate", "decision", "class") and which one: the cut or the exit."""

PRICE_TO_TIME = (0.5, 3.0)
"""Bounds for the cost of heads, gates and decisions, in multiples of their own time; beyond is a disturbance."""


@dataclass(frozen=True)
class Route:
    """All samples leave at `exit`, after a decision by `score` at every exit up to it. None: no other exit is used."""

    exit: int
    score: str | None = None


Kind = str | Route
"""Kind of a pass: a route, or the name of a whole network."""


def routes_for(exits: int, scores: Sequence[str]) -> list[Route]:
    """Returns the fewest routes with every exit, every score, and every exit alone; with gates, every exit again."""
    of_logits = [score for score in scores if score != GATE]
    turns = max(exits, len(of_logits)) if of_logits else 0
    found = [Route(turn % exits, of_logits[turn % len(of_logits)]) for turn in range(turns)]
    alone = [Route(exit) for exit in range(exits)]
    return [*alone, *found, *(Route(exit, GATE) for exit in range(exits) if GATE in scores)]


def route_passes(segments: Segments, image_NCHW: torch.Tensor, scores: Mapping[str, Score]) -> dict[Kind, Timed]:
    """Returns one kind of pass for every route, to be interleaved. `route_pieces` lists the pieces."""
    assert GATE not in scores or segments.gates, "the network has no gates"
    clock = clock_for(image_NCHW.device)
    routes = routes_for(len(segments.cuts), list(scores))
    return {
        route: route_pass(segments, image_NCHW, route, scores[route.score] if route.score else _no_score, clock)
        for route in routes
    }


def route_pass(segments: Segments, image_NCHW: torch.Tensor, route: Route, score: Score, clock: Clock) -> Timed:
    """Makes a pass over the pieces of a route, as in deployment: with "gate", the gates up to the exit and one head."""
    steps = _steps(segments, route)
    taken = None if steps[-1][1] is segments.heads[route.exit] else segments.heads[route.exit]

    def run() -> list[float]:
        clock.start()
        with torch.inference_mode():
            map_NCHW = output_NC = image_NCHW
            for stage, decider in steps:
                map_NCHW = stage(map_NCHW)
                clock.stamp()
                if decider is not None:
                    output_NC = decider(map_NCHW)
                    clock.stamp()
                    _ = score(output_NC).tolist()[0] >= 0.0
                    clock.stamp()
            if taken is not None:
                output_NC = taken(map_NCHW)
                clock.stamp()
            output_NC.argmax(dim=1).tolist()
        clock.stamp()
        return clock.intervals_ms()

    return run


def mixed_routes(exits: int, scores: Sequence[str]) -> list[Route]:
    """Returns one route to every exit, in an order that mixes short and long ones; by gates if there are any."""
    score = GATE if GATE in scores else scores[0]
    return [Route(exit, score) for exit in random.Random(0).sample(range(exits), exits)]


def mixed_pass(segments: Segments, image_NCHW: torch.Tensor, scores: Mapping[str, Score]) -> Timed:
    """Makes a pass of one sample per route of `mixed_routes`; each sample is a piece."""
    clock = clock_for(image_NCHW.device)
    routes = mixed_routes(len(segments.cuts), list(scores))
    passes = [route_pass(segments, image_NCHW, route, scores[route.score or ""], clock) for route in routes]
    return lambda: [sum(timed()) for timed in passes]


def route_ms(segments: Segments, latency: SegmentLatency, route: Route) -> float:
    """Returns the additive model's latency of a route."""
    price = {"stage": latency.stages_ms, "head": latency.heads_ms, "gate": latency.gates_ms}
    return sum(
        price[kind][at] if kind in price else latency.decision_ms[route.score or ""]
        for kind, at in route_pieces(segments, route)
        if kind != "class"
    )


def _no_score(logits_NC: torch.Tensor) -> torch.Tensor:
    raise AssertionError("a route with a single exit has no decision")


def _steps(segments: Segments, route: Route) -> list[Step]:
    """Returns every stage of the route, with the deciding head or gate after it."""
    end = segments.cuts[route.exit] + 1
    if route.score is None:
        return [(stage, None) for stage in segments.stages[:end]]
    return (segments.gate_steps if route.score == GATE else segments.steps)[:end]


def route_pieces(segments: Segments, route: Route) -> list[Piece]:
    """Lists the pieces of a route's pass."""
    kind = "gate" if route.score == GATE else "head"
    exit_at = {cut: exit for exit, cut in enumerate(segments.cuts)}
    pieces: list[Piece] = []
    for cut, (_, decider) in enumerate(_steps(segments, route)):
        pieces.append(("stage", cut))
        if decider is not None:
            pieces += [(kind, exit_at[cut]), ("decision", exit_at[cut])]
    taken: list[Piece] = [] if ("head", route.exit) in pieces else [("head", route.exit)]
    return [*pieces, *taken, ("class", 0)]


@dataclass(frozen=True)
class _TimedRoute:
    """Measured times of a route: the mean of each of its pieces."""

    route: Route
    ms: Mapping[Piece, float]

    @property
    def total_ms(self) -> float:
        return sum(self.ms.values())


def segment_latency(segments: Segments, ms: Mapping[Route, MsRPI], scale: float = 1.0) -> SegmentLatency:
    """Derives the cost of every stage, head, gate and decision from the times of all routes, scaled.

    For rules with all exits in use, or with a single exit, the costs add up to the measured times.
    """
    timed = [
        _TimedRoute(
            route, dict(zip(route_pieces(segments, route), (scale * undisturbed_means(ms_RPI)).tolist(), strict=True))
        )
        for route, ms_RPI in ms.items()
    ]
    prices = _Prices(timed)
    exits = range(len(segments.heads))
    return SegmentLatency(
        stages_ms=prices.stages_ms(segments.cuts),
        heads_ms=tuple(prices.of("head", exit) for exit in exits),
        decision_ms={score: prices.decision_ms(score) for score in prices.decisions},
        gates_ms=tuple(prices.of("gate", exit) for exit in exits if ("gate", exit) in prices.pieces),
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
