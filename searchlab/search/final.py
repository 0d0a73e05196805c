"""The front for the record: its points measured once more, one after the other, then read once on the test split."""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from searchlab.artefacts import TABLE, load_network
from searchlab.data.batches import Normaliser
from searchlab.data.splits import Dataset
from searchlab.deploy.scores import score_functions
from searchlab.exits.evaluate import evaluate
from searchlab.exits.scores import available_scores
from searchlab.exits.table import load_table
from searchlab.exits.tabulate import tabulate
from searchlab.front import FrontPoint, TestPoints
from searchlab.measure.calibration import calibrated
from searchlab.measure.device import resolve_device
from searchlab.measure.isolation import measuring
from searchlab.measure.latency import LatencyOptions, measure_latency
from searchlab.operating_point import Frontier
from searchlab.record import LatencyReport, TestLook, TrialRecord
from searchlab.study import Study


def look(
    study: Study, points: Sequence[FrontPoint], dataset: Dataset, device_name: str, before: Sequence[TestLook] = ()
) -> list[TestLook]:
    """Every trial on the front, measured again and read on the test split at its points' rules.

    Latencies are in the milliseconds of the looks `before`, so that points looked at on different days compare.

    Raises:
        UserError: weights or exit table of a trial are missing or damaged.
    """
    by_trial: dict[int, list[FrontPoint]] = {}
    for point in points:
        by_trial.setdefault(point.record.number, []).append(point)
    device = resolve_device(device_name)
    again = {number: _measured(study, found[0].record, dataset, device) for number, found in by_trial.items()}
    earlier = [seen.latency.reference.p50 for seen in before if seen.latency]
    timed = earlier[:1] or [latency.reference.p50 for latency in again.values() if latency]
    reference_ms = statistics.median(timed) if timed else None
    return [
        _look(found, dataset, device, calibrated(latency, reference_ms) if latency else None)
        for found, latency in zip(by_trial.values(), again.values(), strict=True)
    ]


def _measured(study: Study, record: TrialRecord, dataset: Dataset, device: torch.device) -> LatencyReport | None:
    if record.latency is None:
        return None
    network = load_network(Path(record.directory), record.candidate, dataset.spec).to(device)
    scores = score_functions(available_scores(study.scores, gated=bool(record.candidate.gates)))
    with measuring():
        options = LatencyOptions(threads=record.latency.machine.threads)
        report = measure_latency(network, study.reference, dataset.spec, scores, device, options)
    return replace(report, check=record.latency.check)


def _look(
    points: Sequence[FrontPoint], dataset: Dataset, device: torch.device, latency: LatencyReport | None
) -> TestLook:
    record = points[0].record
    assert record.cost is not None
    network = load_network(Path(record.directory), record.candidate, dataset.spec).to(device)
    test = tabulate(network, dataset.test.to(device), Normaliser.of(dataset, device))
    validation = load_table(Path(record.directory) / TABLE)
    segments = latency.segments if latency else None
    return TestLook(
        trial=record.number,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        latency=latency,
        validation=tuple(evaluate(validation, p.point.rule, record.cost, segments) for p in points),
        test=tuple(evaluate(test, p.point.rule, record.cost, segments) for p in points),
    )


def looked_at(records: Sequence[TrialRecord], looks: Sequence[TestLook]) -> tuple[list[TrialRecord], TestPoints]:
    """Records whose frontiers are the looked-at points alone, with their new latencies; those points on the test split.

    Trials that were not looked at keep no frontier: what was not measured again is no part of the final front.
    """
    final = [_as_seen(record, [seen for seen in looks if seen.trial == record.number]) for record in records]
    tests = {
        (seen.trial, validation.rule): test
        for seen in looks
        for validation, test in zip(seen.validation, seen.test, strict=True)
    }
    return final, tests


def _as_seen(record: TrialRecord, looks: Sequence[TestLook]) -> TrialRecord:
    if not looks:
        return replace(record, latency=None, frontier=None)
    points = tuple(point for seen in looks for point in seen.validation)
    return replace(record, latency=looks[-1].latency, frontier=Frontier("validation", points))
