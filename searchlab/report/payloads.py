"""Payloads of `--json` as plain dicts. An estimate is {"value", "low", "high"}; no value is infinite or NaN."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from searchlab.front.points import (
    FrontPoint,
    common_machine,
    cost_scales,
    deciding_score,
    doubt_of,
    exit_names,
    latency_estimate,
    size_of,
    state_counts,
    study_hypervolume,
    times_reference,
)
from searchlab.operating_point import Estimate, OperatingPoint, share_estimate
from searchlab.record import Quantiles, TrialRecord
from searchlab.serialization import to_plain
from searchlab.study import Sketch, Study

Plain = dict[str, Any]


def front_payload(study: Study, records: Sequence[TrialRecord], points: Sequence[FrontPoint]) -> Plain:
    """Returns a study's front: `points` (from `study_front`), study, hypervolume and counts.

    `points_total` is the number of points of the whole front, in which `points` are numbered. `hypervolume` is that of
    the whole front; `cost_scales` are its units (see `study_hypervolume`).
    """
    machine = common_machine(study, records)
    return {
        "study": study.name,
        "points": [point_payload(point) for point in points],
        "points_total": size_of(points),
        "objectives": [objective.name for objective in study.objectives],
        "hypervolume": study_hypervolume(study, records),
        "cost_scales": cost_scales(study, records),
        "machine": None if machine is None else to_plain(machine),
        "trials": state_counts(records),
    }


def point_payload(front_point: FrontPoint) -> Plain:
    """Returns one point of a front. `accuracy` is that of the validation split; `test_accuracy` may be null."""
    test = front_point.test
    return {
        "point": front_point.number,
        "trial": front_point.record.number,
        "candidate": front_point.record.candidate.id,
        "directory": front_point.record.directory,
        **operating_point_payload(front_point.record, front_point.point),
        "test_accuracy": None if test is None else asdict(test.accuracy_estimate),
    }


def operating_point_payload(record: TrialRecord, point: OperatingPoint) -> Plain:
    """An operating point. `exits` are positions in the exit table, `cuts` where they hang, "final" for the final head.

    A threshold that no score reaches is null, and so is the score if one exit takes every sample. `exit_accuracy`
    follows `exits`; null if no sample left there. `latency_doubt` is the reason for doubt about the latency, or null;
    `engine` is what the latency was measured in.
    """
    rule = point.rule
    return {
        "accuracy": asdict(point.accuracy_estimate),
        "latency_ms": _plain(latency_estimate(record, point)),
        "macs": point.macs,
        "params": point.params,
        "latency_doubt": (doubt_of(record) or None) if point.latency_ms is not None else None,
        "engine": _engine(record) if point.latency_ms is not None else None,
        "times_reference": _plain(times_reference(record, point)),
        "score": deciding_score(rule),
        "exits": list(rule.exits),
        "cuts": exit_names(record.candidate, rule),
        "thresholds": [t if math.isfinite(t) else None for t in rule.thresholds],
        "shares": list(point.shares),
        "exit_accuracy": [_plain(estimate) for estimate in exit_accuracies(point)],
    }


def exit_accuracies(point: OperatingPoint) -> list[Estimate | None]:
    """Returns, per exit in use, the accuracy over the samples that left there; None if none did."""
    counts = [round(share * point.samples) for share in point.shares]
    return [
        share_estimate(correct, left) if left else None
        for correct, left in zip(point.correct_per_exit, counts, strict=True)
    ]


def _engine(record: TrialRecord) -> str | None:
    """Returns what executed the network whose latency was measured, with its version; None if none was."""
    return record.latency.machine.executed_by if record.latency else None


def best_point(record: TrialRecord) -> OperatingPoint | None:
    """Returns the most accurate point of a trial's frontier; of equal ones the cheapest in MACs."""
    points = record.frontier.points if record.frontier else ()
    return max(points, key=lambda point: (point.accuracy, -point.macs), default=None)


def trial_row(record: TrialRecord) -> Plain:
    """Returns a summary of a trial: its most accurate point and the costs of its whole network."""
    best, latency, cost = best_point(record), record.latency, record.cost
    return {
        "trial": record.number,
        "state": record.state,
        "accuracy": None if best is None else asdict(best.accuracy_estimate),
        "latency_ms": None if best is None else _plain(latency_estimate(record, best)),
        "latency_doubt": doubt_of(record) or None,
        "engine": _engine(record),
        "macs": None if best is None else best.macs,
        "params": None if best is None else best.params,
        "network_latency_ms": None if latency is None else _interval(latency.whole),
        "network_macs": None if cost is None else cost.macs,
        "network_params": None if cost is None else cost.params,
        "epochs": record.epochs,
        "seconds": record.seconds.total,
        "reason": record.reason,
        "candidate": record.candidate.id,
        "directory": record.directory,
    }


def trials_payload(study: Study, records: Sequence[TrialRecord]) -> Plain:
    """Returns all trials of a study, by number."""
    rows = [trial_row(record) for record in sorted(records, key=lambda record: record.number)]
    return {"study": study.name, "trials": rows, "states": state_counts(records)}


def trial_payload(study: Study, record: TrialRecord) -> Plain:
    """Returns all data of one trial, including every operating point of its frontier."""
    plain: Plain = to_plain(record)
    points = record.frontier.points if record.frontier else ()
    plain["frontier"] = [operating_point_payload(record, point) for point in points]
    return {"study": study.name, **trial_row(record), "record": _finite(plain)}


def show_point_payload(study: Study, front_point: FrontPoint) -> Plain:
    """Returns a front point with its candidate, costs per stage and head, latencies and machine."""
    record = front_point.record
    return {
        "study": study.name,
        **point_payload(front_point),
        "architecture": to_plain(record.candidate),
        "images": None if record.data.images is None else to_plain(record.data.images),
        "cost": None if record.cost is None else to_plain(record.cost),
        "latency": None if record.latency is None else to_plain(record.latency),
        "versions": record.versions,
    }


def studies_payload(files: Mapping[str, Sequence[Study]], sketches: Mapping[str, Sketch] | None = None) -> Plain:
    """Returns every study with its definition and its file, without the text of other files that it names.

    A file with computed studies (see `Sketch`) gives one entry with `name` null, its `description`, and its literal
    fields under `written`.
    """
    found = [(file, study) for file, studies in sorted(files.items()) for study in studies]
    unread = [
        {"file": file, "name": None, "description": each.description, "written": list(each.plain)}
        for file, each in sorted((sketches or {}).items())
    ]
    return {"studies": [*({"file": file, **to_plain(replace(study, files=()))} for file, study in found), *unread]}


def spaces_payload(spaces: Mapping[str, str]) -> Plain:
    """Returns every space by name, with its one-line description."""
    return {"spaces": [{"name": name, "description": text} for name, text in sorted(spaces.items())]}


def _finite(plain: Any) -> Any:
    # The curve of a diverged trial contains NaN, which JSON does not have.
    if isinstance(plain, dict):
        return {name: _finite(value) for name, value in plain.items()}
    if isinstance(plain, list):
        return [_finite(value) for value in plain]
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def _plain(estimate: Estimate | None) -> Plain | None:
    return None if estimate is None else asdict(estimate)


def _interval(latency: Quantiles) -> Plain:
    return asdict(Estimate(latency.p50, latency.low, latency.high))
