"""The routes of samples through a network, timed, and what they say of the prices of its pieces.

Shape suffixes: R rounds, P passes of a block, I pieces of a pass.
"""

from collections.abc import Mapping, Sequence

from searchlab.engines.engine import Pass, Prepared
from searchlab.engines.route import Route
from searchlab.measure.clocks import Clock
from searchlab.measure.passes import MsRPI, Timed, timed_pass
from searchlab.measure.quantiles import undisturbed_means
from searchlab.record import SegmentLatency

Kind = str | Route
"""Kind of a pass: a route, or the name of a whole network."""


def route_passes(own: Prepared, clock: Clock) -> dict[Kind, Timed]:
    """One kind of pass for every route that prices need, to be interleaved."""
    return {route: timed_pass(own.route(route), clock) for route in own.routes()}


def mixed_pass(mixed: Sequence[tuple[Route, Pass]], clock: Clock) -> Timed:
    """One sample after the other, leaving at different exits: a piece for each."""
    passes = [timed_pass(one, clock) for _, one in mixed]
    return lambda: [sum(timed()) for timed in passes]


def segment_latency(own: Prepared, ms: Mapping[Route, MsRPI], scale: float = 1.0) -> SegmentLatency:
    """From every route's times, the price of every stage, head, gate and decision, scaled."""
    return own.prices({route: (scale * undisturbed_means(ms_RPI)).tolist() for route, ms_RPI in ms.items()})
