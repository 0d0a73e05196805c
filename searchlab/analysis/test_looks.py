"""Stored test evaluations as records and points of the final front. Reads the store alone."""

from collections.abc import Sequence
from dataclasses import replace

from searchlab.front.points import TestPoints
from searchlab.operating_point import ExitRule, Frontier, OperatingPoint
from searchlab.record import LatencyReport, TestLook, TrialRecord


def comparable(looks: Sequence[TestLook]) -> list[TestLook]:
    """Returns the looks from the first look's machine. Old stores may mix machines."""
    first = next((seen.latency.machine for seen in looks if seen.latency), None)
    return [seen for seen in looks if seen.latency is None or seen.latency.machine == first]


def looked_at(records: Sequence[TrialRecord], looks: Sequence[TestLook]) -> tuple[list[TrialRecord], TestPoints]:
    """Returns records with the evaluated points alone and their new latencies, and those points on the test split.

    A trial that was measured on several days gives several records, so that every point has the latency it was
    measured with. Trials without a look get no frontier: only points that were measured again are on the final front.
    """
    final = [each for record in records for each in _as_seen(record, [s for s in looks if s.trial == record.number])]
    tests: dict[tuple[int, ExitRule], OperatingPoint] = {}
    for seen in looks:
        for validation, test in zip(seen.validation, seen.test, strict=True):
            tests.setdefault((seen.trial, validation.rule), test)
    return final, tests


def _as_seen(record: TrialRecord, looks: Sequence[TestLook]) -> list[TrialRecord]:
    found: list[tuple[LatencyReport | None, dict[ExitRule, OperatingPoint]]] = []
    for seen in looks:
        # Two processes may have evaluated the same point at once: the first look counts.
        known = {rule for _, points in found for rule in points}
        new = {point.rule: point for point in seen.validation if point.rule not in known}
        same = next((points for latency, points in found if latency == seen.latency), None)
        if same is None:
            found.append((seen.latency, new))
        else:
            same |= new
    if not found:
        return [replace(record, latency=None, frontier=None)]
    return [
        replace(record, latency=latency, frontier=Frontier("validation", tuple(points.values())))
        for latency, points in found
    ]
