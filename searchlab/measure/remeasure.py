"""Repetition of doubtful measurements: after pauses, a bounded number of times; the best attempt is kept."""

from collections.abc import Callable

from searchlab.measure.isolation import Waiting
from searchlab.record import LatencyReport

PAUSES_S = (1.0, 4.0)
"""Pauses before each repetition, without a lock: disturbances often last for seconds."""


def until_trusted(measured: Callable[[], LatencyReport], waiting: Waiting) -> LatencyReport:
    """Returns the first measurement that is not in doubt, else the least doubtful attempt.

    Raises:
        Interrupted: `waiting.interrupted` said so.
    """
    best = measured()
    for attempt, pause_s in enumerate(PAUSES_S, start=2):
        if not best.doubt:
            break
        again = f"measuring again, attempt {attempt} of {1 + len(PAUSES_S)}"
        waiting.say(f"latency in doubt, the machine may be busy ({best.doubt}): {again}")
        waiting.pause(pause_s)
        best = min(best, measured(), key=lambda report: report.worry)
    return best
