"""A network in pieces, prepared: its passes run piece by piece, and so does the network under a rule.

Shape suffixes: N images, C channels or classes, H and W pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from searchlab.engines.engine import Pass, Run, Score, Stamp
from searchlab.engines.legs import legs_of, routed
from searchlab.engines.piece_prices import priced_pieces, prices_of_pieces
from searchlab.engines.route import Route, mixed_routes, routes_for
from searchlab.engines.segments import Segments, route_pass, run_without_exits
from searchlab.exits.scores import GATE
from searchlab.operating_point import ExitRule
from searchlab.record import SegmentLatency


@dataclass(frozen=True)
class PreparedSegments:
    """Segments with an image of their shape on their device, and the scores that decide."""

    segments: Segments
    image_NCHW: torch.Tensor
    scores: Mapping[str, Score]

    def __post_init__(self) -> None:
        assert GATE not in self.scores or self.segments.gates, "this network has no gates"

    @property
    def cuts(self) -> tuple[int, ...]:
        """The cut of every exit."""
        return self.segments.cuts

    def whole(self) -> Pass:
        """A pass of all stages and the final head."""
        return whole_pass(self.segments, self.image_NCHW)

    def route(self, route: Route) -> Pass:
        """A pass along a route, with a stamp after every piece."""
        return route_pass(self.segments, self.image_NCHW, route, self.scores[route.score] if route.score else _no_score)

    def routes(self) -> Sequence[Route]:
        """As few routes as show every exit and every score."""
        return routes_for(len(self.cuts), list(self.scores))

    def prices(self, ms: Mapping[Route, Sequence[float]]) -> SegmentLatency:
        """The prices of pieces that were timed one by one."""
        return prices_of_pieces(self.segments, ms)

    def priced(self, prices: SegmentLatency, route: Route) -> float:
        """What the prices say of the pieces of a route's pass."""
        return priced_pieces(self.segments, prices, route)

    def mixed(self) -> Sequence[tuple[Route, Pass]]:
        """One route to every exit."""
        return [(route, self.route(route)) for route in mixed_routes(len(self.cuts), list(self.scores))]

    def taken(self, image_1CHW: torch.Tensor) -> torch.Tensor:
        """The image as it is."""
        return image_1CHW

    def routed(self, rule: ExitRule) -> Run:
        """The pieces that a sample needs, one after the other."""
        return routed(legs_of(self.segments, rule), self.scores[rule.score])

    def plain(self) -> Run:
        """All stages and the final head."""
        return run_without_exits(self.segments)


def whole_pass(segments: Segments, image_NCHW: torch.Tensor) -> Pass:
    """A pass from the image to the class of the network without exits, as one piece."""

    def run(stamp: Stamp) -> None:
        with torch.inference_mode():
            segments.whole(image_NCHW).argmax(dim=1).tolist()

    return run


def _no_score(logits_NC: torch.Tensor) -> torch.Tensor:
    raise AssertionError("a route with a single exit has no decision")
