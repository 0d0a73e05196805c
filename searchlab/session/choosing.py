"""Choice of a point: by limits, by name, or by number.

`--point` is "best", "cheapest", "knee", the number of a point of the front, or TRIAL:K, point K of a trial's frontier.
"""

import re
from collections.abc import Mapping

from searchlab.errors import UserError, unknown
from searchlab.front.knee import knee
from searchlab.front.points import FrontPoint, doubt_of, entries_of, exit_names
from searchlab.report import units
from searchlab.report.tables import trial_counts
from searchlab.session.found import Found, point_of, trial_of

LIMITS = {"max_latency_ms": "latency_ms", "min_accuracy": "accuracy", "max_macs": "macs", "max_params": "params"}
"""Limits of `Results.best`, and the figures that they limit."""


def checked(limits: Mapping[str, float | None]) -> dict[str, float]:
    """Returns the limits that were given.

    Raises:
        UserError: one is unknown.
    """
    for name in limits:
        if name not in LIMITS:
            raise unknown("limit", name, LIMITS, where="best")
    return {name: value for name, value in limits.items() if value is not None}


def chosen(study: str, points: list[FrontPoint], limits: Mapping[str, float]) -> FrontPoint:
    """Returns the most accurate point within the limits; the cheapest of equals, or if only accuracy is limited.

    Raises:
        UserError: no point is within them; the error gives the nearest.
    """
    within = [entry for entry in points if not _excess(entry, limits)]
    if not within:
        nearest = min(points, key=lambda entry: (_excess(entry, limits), -entry.point.accuracy))
        value = ", ".join(f"{name}={limit:g}" for name, limit in limits.items())
        allowed = f"the nearest is {described(nearest)}"
        raise UserError(
            "no-results", "no point is within the limits", where=f"study {study}", value=value, allowed=allowed
        )
    if limits.keys() == {"min_accuracy"}:
        return min(within, key=lambda entry: (_cost(entry), -entry.point.accuracy))
    return min(within, key=lambda entry: (-entry.point.accuracy, _cost(entry)))


def _cost(entry: FrontPoint) -> tuple[float, float]:
    latency_ms = entry.point.latency_ms
    return float("inf") if latency_ms is None else latency_ms, entry.point.macs


def _excess(entry: FrontPoint, limits: Mapping[str, float]) -> float:
    """Returns how far a point exceeds the limits, as a sum of shares; 0 within them."""
    total = 0.0
    for name, limit in limits.items():
        value = getattr(entry.point, LIMITS[name])
        if value is None:
            return float("inf")
        beyond = limit - value if name.startswith("min_") else value - limit
        total += max(0.0, beyond) / max(abs(limit), 1e-12)
    return total


def described(entry: FrontPoint) -> str:
    """Formats a point: "trial 3: 94.4 % at 0.086 ms, 78.4 k MACs, 1.4 k parameters, exits 1, final by margin"."""
    point, candidate = entry.point, entry.record.candidate
    place = f"point {entry.number}, trial" if entry.number else "trial"
    latency = f" at {units.marked(units.milliseconds(point.latency_ms), doubt_of(entry.record))}"
    parts = [
        f"{units.percent(point.accuracy)}{latency if point.latency_ms is not None else ''}",
        f"{units.count(point.macs)} MACs",
        f"{units.count(point.params)} parameters",
        candidate.architecture.described,
        f"exits {', '.join(exit_names(candidate, point.rule))}",
    ]
    return f"{place} {entry.record.number}: {', '.join(parts)}"


NAMED = ("best", "cheapest", "knee")
"""Points of a front that have a name."""

OF_TRIAL = re.compile(r"(\d{1,9}):(\d{1,9})")


def all_points(found: Found) -> list[FrontPoint]:
    """Returns the points of all complete trials; those that are not on the front have the number 0."""
    front = found.front(None)
    numbers = {(point.record.number, point.point.rule): point.number for point in front}
    return [
        FrontPoint(numbers.get((record.number, point.rule), 0), len(front), record, point)
        for record in found.records
        for _, point in entries_of(record, found.study)
    ]


def within(found: Found, limits: Mapping[str, float]) -> FrontPoint:
    """Returns the most accurate point within limits; see `chosen`.

    Raises:
        UserError: there is no point at all, or none within the limits.
    """
    points = all_points(found)
    if not points:
        least = f"{trial_counts(found.records)}; min_accuracy is {found.study.min_accuracy}"
        raise UserError(
            "no-results", "the study has no operating points yet", where=f"study {found.study.name}", allowed=least
        )
    return chosen(found.study.name, points, limits)


def point_named(found: Found, name: str) -> FrontPoint:
    """Returns the point of a name, of a number on the front, or of a trial ("3:2").

    Raises:
        UserError: there is no such point.
    """
    if name in NAMED:
        front = found.front(None)
        if not front:
            return within(found, {})
        if name == "knee":
            return knee(front)
        return (min if name == "cheapest" else max)(front, key=_cost if name == "cheapest" else _accuracy)
    if of_trial := OF_TRIAL.fullmatch(name):
        return _of_trial(found, int(of_trial[1]), int(of_trial[2]))
    if name.isdecimal() and len(name) < 10:
        return point_of(found, int(name))
    allowed = f"{', '.join(NAMED)}, a number of the front, or TRIAL:K"
    raise UserError("unknown-point", "no such point", where="--point", value=name, allowed=allowed)


def _of_trial(found: Found, number: int, place: int) -> FrontPoint:
    record = trial_of(found, number)
    own = [entry for entry in all_points(found) if entry.record.number == number]
    if 1 <= place <= len(own):
        return own[place - 1]
    where, value = f"study {found.study.name}", f"{number}:{place}"
    allowed = f"{number}:1 to {number}:{len(own)}, cheapest first" if own else f"trial {number} is {record.state}"
    raise UserError("unknown-point", "no such point of this trial", where=where, value=value, allowed=allowed)


def _accuracy(entry: FrontPoint) -> tuple[float, float, float]:
    latency_ms, macs = _cost(entry)
    return entry.point.accuracy, -latency_ms, -macs
