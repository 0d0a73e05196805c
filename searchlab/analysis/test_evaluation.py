"""Test evaluation: measures the front's points again, one after the other, then reads the test split once."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import torch

from searchlab.artefacts import load_network
from searchlab.data.batches import Normaliser
from searchlab.data.splits import Dataset
from searchlab.deploy.latency_check import checked
from searchlab.deploy.own_scores import use_scores
from searchlab.deploy.scores import score_functions
from searchlab.engines.catalog import engine_again
from searchlab.errors import TrialFailure, UserError
from searchlab.exits.evaluate import evaluate
from searchlab.exits.scores import available_scores
from searchlab.exits.table import load_table
from searchlab.exits.tabulate import tabulate
from searchlab.front.points import FrontPoint
from searchlab.measure.calibration import calibrated, other_reference
from searchlab.measure.device import out_of_memory, resolve_device, this_machine
from searchlab.measure.isolation import PATIENT, measuring
from searchlab.measure.latency import LatencyOptions, measure_latency
from searchlab.measure.remeasure import until_trusted
from searchlab.record import LatencyReport, Machine, TestLook, TimeUnit, TrialRecord
from searchlab.study import Study
from searchlab.trial_files import TABLE

T = TypeVar("T")


@dataclass(frozen=True)
class Unread:
    """A trial that could not be measured again, or read on the test split, and why."""

    trial: int
    reason: str


def look(
    study: Study,
    points: Sequence[FrontPoint],
    dataset: Dataset,
    device_name: str,
    before: Sequence[TestLook] = (),
    unit: TimeUnit | None = None,
) -> Iterator[TestLook | Unread]:
    """Measures every trial on the front again, then evaluates its points' rules on the test split.

    Latencies are in the unit of time of the earlier looks (`before`), so that looks of different days are comparable.
    The first looks use the study's `unit`, if this is the study's machine.

    Raises:
        UserError: the earlier looks are of another machine (then nothing is measured), or the weights or the exit
            table of a trial are missing or damaged.
    """
    use_scores(study)
    device = resolve_device(device_name)
    unit = _unit_here(study, points, device, before) or _of_this_machine(unit, study, points, device)
    return _looks(study, points, dataset, device, unit)


def _looks(
    study: Study, points: Sequence[FrontPoint], dataset: Dataset, device: torch.device, unit: TimeUnit | None
) -> Iterator[TestLook | Unread]:
    by_trial: dict[int, list[FrontPoint]] = {}
    for point in points:
        by_trial.setdefault(point.record.number, []).append(point)
    again = {n: _tried(n, _measured, study, found[0].record, dataset, device) for n, found in by_trial.items()}
    timed = [latency for latency in again.values() if isinstance(latency, LatencyReport)]
    if timed and unit is None:
        unit = replace(TimeUnit.of(timed[0]), reference_ms=statistics.median(each.reference.p50 for each in timed))
    for number, found in by_trial.items():
        latency = again[number]
        if isinstance(latency, Unread):
            yield latency
        else:
            yield _tried(number, _look, found, dataset, device, calibrated(latency, unit) if latency else None)


def _tried(number: int, step: Callable[..., T], *given: Any) -> T | Unread:
    """Returns a step's result, or why it failed: the other trials are evaluated nevertheless."""
    try:
        return step(*given)
    except TrialFailure as failure:
        return Unread(number, str(failure))
    except RuntimeError as error:
        if not (reason := out_of_memory(error)):
            raise
        return Unread(number, reason)


def _machines(points: Sequence[FrontPoint], device: torch.device) -> list[Machine]:
    """Returns the machine of measurements made here, with the points' engine and number of threads."""
    found = {each: None for point in points if (each := point.record.latency and point.record.latency.machine)}
    again = [(machine, *engine_again(machine, device)) for machine in found]
    return [this_machine(own, machine.threads, engine) for machine, engine, own in again]


def _unit_here(
    study: Study, points: Sequence[FrontPoint], device: torch.device, before: Sequence[TestLook]
) -> TimeUnit | None:
    """Returns the unit of earlier looks; None if there are none.

    Raises:
        UserError: they are of another machine than this one.
    """
    unit = next((TimeUnit.of(seen.latency) for seen in before if seen.latency), None)
    for here in _machines(points, device) if unit else ():
        assert unit is not None
        if here != unit.machine:
            raise UserError(
                "machine-differs",
                "the points were measured again on another machine; latencies of different machines cannot be compared",
                where=f"study {study.name}",
                value=here.in_full,
                allowed=f"so far {unit.machine.in_full}: evaluate new points there, or see --device",
            )
        if study.reference != unit.reference_name:
            raise other_reference(unit, study.reference, f"study {study.name}")
    return unit


def _of_this_machine(
    unit: TimeUnit | None, study: Study, points: Sequence[FrontPoint], device: torch.device
) -> TimeUnit | None:
    """Returns the study's unit if it is this machine's, else None."""
    if unit is None or unit.reference_name != study.reference:
        return None
    return unit if all(here == unit.machine for here in _machines(points, device)) else None


def _measured(study: Study, record: TrialRecord, dataset: Dataset, device: torch.device) -> LatencyReport | None:
    if record.latency is None:
        return None
    network = load_network(Path(record.directory), record.candidate, dataset.spec).to(device)
    scores = score_functions(available_scores(study.scores, gated=bool(record.candidate.gates)))
    engine, _ = engine_again(record.latency.machine, device)
    options = LatencyOptions(threads=record.latency.machine.threads, engine=engine)

    def measured() -> LatencyReport:
        with measuring():
            report = measure_latency(network, study.reference, dataset.spec, scores, device, options)
        again = replace(record, latency=report)
        table, normaliser = load_table(Path(record.directory) / TABLE), Normaliser.of(dataset, device)
        return checked(again, network, table, dataset.validation.to(device), normaliser).latency or report

    found = until_trusted(measured, PATIENT)
    if found.disbelief:
        raise TrialFailure("latency-not-measured", f"its latency could not be measured: {found.disbelief}")
    return found


def _look(
    points: Sequence[FrontPoint], dataset: Dataset, device: torch.device, latency: LatencyReport | None
) -> TestLook:
    record = points[0].record
    assert record.cost is not None
    network = load_network(Path(record.directory), record.candidate, dataset.spec).to(device)
    test = tabulate(network, dataset.test.to(device), Normaliser.of(dataset, device))
    validation = load_table(Path(record.directory) / TABLE)
    profile = replace(record, latency=latency).profile
    return TestLook(
        trial=record.number,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        latency=latency,
        validation=tuple(evaluate(validation, p.point.rule, profile) for p in points),
        test=tuple(evaluate(test, p.point.rule, profile) for p in points),
    )
