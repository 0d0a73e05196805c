"""Points of a study's front: the non-dominated operating points of all trials, and their hypervolume."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from searchlab.candidate import Candidate
from searchlab.errors import UserError
from searchlab.front.pareto import Values, hypervolume, non_dominated, thin, values_of
from searchlab.objective import Objective
from searchlab.operating_point import Estimate, ExitRule, OperatingPoint
from searchlab.record import Machine, TrialRecord
from searchlab.study import Study

TestPoints = Mapping[tuple[int, ExitRule], OperatingPoint]
"""Test results by trial number and rule, for the evaluated points."""

Entry = tuple[TrialRecord, OperatingPoint]
"""A point, and its trial."""

STATES = ("complete", "running", "interrupted", "stopped", "infeasible", "failed")


@dataclass(frozen=True)
class FrontPoint:
    """A point of a study's front. `number` is its place, from 1, among all `total` points of the whole front.

    So a point's number does not depend on how many points are shown. `test` is the result of the same rule on the test
    split, if it was evaluated.
    """

    number: int
    total: int
    record: TrialRecord
    point: OperatingPoint
    test: OperatingPoint | None = None

    @property
    def latency(self) -> Estimate | None:
        """Expected latency in milliseconds; see `latency_estimate`."""
        return latency_estimate(self.record, self.point)

    @property
    def doubt(self) -> str:
        """Why its latency is in doubt; "" if it is not, or if there is none."""
        return doubt_of(self.record) if self.point.latency_ms is not None else ""

    @property
    def times_reference(self) -> Estimate | None:
        """Latency as a multiple of the reference network's; see `times_reference`."""
        return times_reference(self.record, self.point)


def study_front(
    study: Study, records: Sequence[TrialRecord], *, most: int | None = 12, tests: TestPoints | None = None
) -> list[FrontPoint]:
    """Returns the non-dominated union of all complete trials' frontiers, the best of the first objective first.

    Stopped, failed and infeasible trials are excluded. Of equal points the earliest trial's is kept. The front is
    thinned to `most` points (None: all of it), which keep their numbers. It is empty without a complete trial.

    Raises:
        UserError: the trials' latencies were measured on different machines.
    """
    common_machine(study, records)
    entries = front_of(
        [entry for record in _complete(records) for entry in entries_of(record, study)], study.objectives
    )
    front = [
        FrontPoint(number, len(entries), record, point, (tests or {}).get((record.number, point.rule)))
        for number, (record, point) in enumerate(entries, start=1)
    ]
    return _thinned(study, front, most)


def final_front(
    study: Study,
    records: Sequence[TrialRecord],
    measured_again: Sequence[TrialRecord],
    *,
    most: int | None = 12,
    tests: TestPoints | None = None,
) -> list[FrontPoint]:
    """Returns the front of the points measured again, numbered as on the study's own front of `records`.

    Points that are no longer on the study's own front have the numbers after its last.

    Raises:
        UserError: the trials' latencies were measured on different machines.
    """
    own = study_front(study, records, most=None)
    numbers = {(entry.record.number, entry.point.rule): entry.number for entry in own}
    front, after = [], count(len(own) + 1)
    for entry in study_front(study, measured_again, most=None, tests=tests):
        number = numbers.get((entry.record.number, entry.point.rule)) or next(after)
        front.append(replace(entry, number=number, total=len(own)))
    return _thinned(study, front, most)


def _thinned(study: Study, front: list[FrontPoint], most: int | None) -> list[FrontPoint]:
    if most is None:
        return front
    return [front[i] for i in thin(values_of([entry.point for entry in front], study.objectives), most)]


def size_of(points: Sequence[FrontPoint]) -> int:
    """Returns the number of points of the whole front."""
    return points[0].total if points else 0


def entries_of(record: TrialRecord, study: Study) -> list[Entry]:
    """Returns a complete trial's points of at least the study's least accuracy."""
    if record.state != "complete" or record.frontier is None:
        return []
    return [(record, point) for point in record.frontier.points if point.accuracy >= study.min_accuracy]


def front_of(entries: Sequence[Entry], objectives: Sequence[Objective]) -> list[Entry]:
    """Returns the non-dominated entries. An entry without one of the objectives cannot be compared."""
    values_PM = values_of([point for _, point in entries], objectives)
    known = np.flatnonzero(np.all(np.isfinite(values_PM), axis=1))
    return [entries[int(known[i])] for i in non_dominated(values_PM[known])]


def scaled_values(
    points: Sequence[OperatingPoint], objectives: Sequence[Objective], scales: Mapping[str, float]
) -> Values:
    """Returns values_PM with every cost c as c / (c + its scale): no cost is 0, the scale itself 1/2, infinite 1.

    So every point lies within `reference_of`, and one reference point is enough for every study.
    """
    values_PM = values_of(points, objectives)
    for column, objective in enumerate(objectives):
        if objective.sign > 0 and len(points):
            values_PM[:, column] /= values_PM[:, column] + scales[objective.name]
    return values_PM


def reference_of(objectives: Sequence[Objective]) -> Values:
    """Returns the reference point of hypervolumes of `scaled_values`: accuracy 0, infinite cost."""
    return np.asarray([1.0 if o.sign > 0 else 0.0 for o in objectives])


def study_hypervolume(study: Study, records: Sequence[TrialRecord]) -> float:
    """Returns the share of the objective space that the front dominates, 0 to 1; 0.0 without a complete trial.

    Adding a trial never shrinks it: see `scaled_values` and `cost_scales`.
    """
    front = study_front(study, records, most=None)
    if not front:
        return 0.0
    values_PM = scaled_values([entry.point for entry in front], study.objectives, cost_scales(study, records))
    return hypervolume(values_PM, reference_of(study.objectives))


def cost_scales(study: Study, records: Sequence[TrialRecord]) -> dict[str, float]:
    """Returns the scale of every cost: the study's limit on it, else the first complete trial's.

    For latency, this is the reference network's median; for MACs and parameters, the trial's whole network. It is the
    first trial by number, so that later trials change nothing. If trials run at the same time and a later one ends
    first, the scales change once more when the first completes.
    """
    found = {o.name: _cost_scale(study, records, o) for o in study.objectives if o.sign > 0}
    return {name: value for name, value in found.items() if value is not None}


def _cost_scale(study: Study, records: Sequence[TrialRecord], objective: Objective) -> float | None:
    limit: float | None = getattr(study.limits, f"max_{objective.name}")
    if limit is not None:
        return float(limit)
    for record in _complete(records):
        # All latencies of a study have its unit of time, the reference's latency.
        if objective.name == "latency_ms" and record.latency:
            return record.latency.reference.p50
        if objective.name != "latency_ms" and record.cost:
            return float(getattr(record.cost, objective.name))
    return None


def common_machine(study: Study, records: Sequence[TrialRecord]) -> Machine | None:
    """Returns the machine of all complete trials' latencies; None if there are none.

    Raises:
        UserError: there are two, and latencies of different machines cannot be compared.
    """
    measured = [(record, record.latency.machine) for record in _complete(records) if record.latency]
    if not measured:
        return None
    (first, machine), *others = measured
    for record, other in others:
        if other != machine:
            raise UserError(
                "machine-differs",
                "latencies of different machines or engines cannot be compared in one front",
                where=f"study {study.name}",
                value=f"trial {first.number}: {machine.in_full}; trial {record.number}: {other.in_full}",
                allowed="run the study under another name or --output on each machine",
            )
    return machine


def latency_estimate(record: TrialRecord, point: OperatingPoint) -> Estimate | None:
    """Returns a point's expected latency in milliseconds, with the relative interval of its whole network's median."""
    if record.latency is None or point.latency_ms is None:
        return None
    whole, value_ms = record.latency.whole, point.latency_ms
    return Estimate(value_ms, value_ms * whole.low / whole.p50, value_ms * whole.high / whole.p50)


def doubt_of(record: TrialRecord) -> str:
    """Returns why a trial's latency is in doubt; "" if it is not, or if there is none."""
    return record.latency.doubt if record.latency else ""


def times_reference(record: TrialRecord, point: OperatingPoint) -> Estimate | None:
    """Returns a point's latency over the reference's: the whole network's measured ratio, scaled to the point."""
    if record.latency is None or point.latency_ms is None:
        return None
    ratio, share = record.latency.ratio, point.latency_ms / record.latency.whole.p50
    return Estimate(ratio.value * share, ratio.low * share, ratio.high * share)


def exit_names(candidate: Candidate, rule: ExitRule) -> list[str]:
    """Returns the exits in use as their cuts ("2", "4"); the final head is "final"."""
    last = len(candidate.cuts) - 1
    return ["final" if exit == last else str(candidate.cuts[exit]) for exit in rule.exits]


def deciding_score(rule: ExitRule) -> str | None:
    """Returns the score of the exit decisions; None if one exit takes every sample."""
    return rule.score if rule.thresholds else None


def state_counts(records: Sequence[TrialRecord]) -> dict[str, int]:
    """Counts trials by state, without empty states."""
    counts = Counter[str]({record.number: record.state for record in records}.values())
    return {state: counts[state] for state in STATES if counts[state]}


def _complete(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    return sorted((r for r in records if r.state == "complete"), key=lambda record: record.number)
