"""The knee of a front: the point beyond which accuracy becomes dear."""

from collections.abc import Sequence

from searchlab.front.points import FrontPoint


def knee(points: Sequence[FrontPoint]) -> FrontPoint:
    """Returns the point farthest above the chord from the cheapest to the most accurate point, axes scaled to 0..1.

    The cost is latency, or MACs where no latency was measured. Of a front of one or two points it is the most accurate.
    """
    assert points
    cheapest, best = min(points, key=_cost), max(points, key=lambda entry: (entry.point.accuracy, -_cost(entry)))
    wide, high = _cost(best) - _cost(cheapest), best.point.accuracy - cheapest.point.accuracy
    if wide <= 0 or high <= 0:
        return best

    def above(entry: FrontPoint) -> float:
        return (entry.point.accuracy - cheapest.point.accuracy) / high - (_cost(entry) - _cost(cheapest)) / wide

    return max(points, key=lambda entry: (above(entry), entry.point.accuracy))


def _cost(entry: FrontPoint) -> float:
    return entry.point.macs if entry.point.latency_ms is None else entry.point.latency_ms
