"""A latency that is in doubt is measured again: later, a bounded number of times, and then the best is kept."""

from collections.abc import Callable

from searchlab.measure.isolation import Waiting
from searchlab.record import LatencyReport

PAUSES_S = (1.0, 4.0)
"""Before each repetition: what disturbs a machine often lasts for seconds. No lock is held meanwhile."""


def until_trusted(measured: Callable[[], LatencyReport], waiting: Waiting) -> LatencyReport:
    """What `measured` says as soon as nothing speaks against it, else the least doubtful of all attempts.

    Raises:
        Interrupted: `waiting.interrupted` said so.
    """
    best = measured()
    for pause_s in PAUSES_S:
        if not best.doubt:
            break
        waiting.pause(pause_s)
        best = min(best, measured(), key=lambda report: report.worry)
    return best
