"""Device profiles: measures the networks of a study in another engine or on another machine, without training.

Frontiers are computed anew from the stored exit tables; the test split is not read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Protocol

from searchlab.analysis.profile_bounds import Bounds, frontier_with
from searchlab.architecture import ImageSpec
from searchlab.artefacts import untrained_network
from searchlab.engines.catalog import ENGINES, engine_named
from searchlab.errors import Interrupted, TrialFailure, UserError
from searchlab.front.points import entries_of, front_of
from searchlab.measure.calibration import calibrated
from searchlab.measure.device import out_of_memory, resolve_device, this_machine
from searchlab.measure.isolation import Waiting
from searchlab.record import DeviceProfile, LatencyReport, Machine, ProfiledTrial, TimeUnit, TrialRecord
from searchlab.search.launch import load_data
from searchlab.search.profiles import (
    add_profiled,
    check_name,
    fix_profile,
    profiled_trials,
    profiles_of,
    with_profile,
)
from searchlab.search.storage import check_writable
from searchlab.search.store import StudyStore
from searchlab.search.study_folder import check_artefacts
from searchlab.study import RunOptions, Study, TrialSpec
from searchlab.trial import measure
from searchlab.trial_files import TABLE


class Watch(Protocol):
    """Observer of the measurements of a profile."""

    def on_begin(self, name: str, machine: Machine, done: int, left: int) -> None: ...
    def on_end(self, record: TrialRecord, skipped: int) -> None:
        """A network was measured; of those left, so many are known to be out of reach of the front."""

    def on_failure(self, number: int, reason: str) -> None: ...
    def say(self, line: str) -> None: ...


@dataclass(frozen=True)
class ProfileRequest:
    """What is to be measured: in which engine, on which device, under which name ("": after engine and device)."""

    engine: str
    device: str = "auto"
    threads: int | None = None
    name: str = ""


@dataclass
class Outcome:
    """What became of a study's networks, by number of the trial: measured now or before, out of reach, or failed."""

    profile: str
    machine: Machine
    before: list[int]
    measured: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Bench:
    """The place of the measurements: engine and device resolved, threads known."""

    store: StudyStore
    where: RunOptions
    study: Study
    device: str
    threads: int
    waiting: Waiting
    images: dict[str, ImageSpec] = field(default_factory=dict)

    def images_of(self, record: TrialRecord) -> ImageSpec:
        """Returns the size of a trial's images; an old record does not say it, so the data set is read."""
        if record.data.images is not None:
            return record.data.images
        if self.study.data not in self.images:
            self.images[self.study.data] = load_data(self.study, self.where).spec
        return self.images[self.study.data]


def profile(
    store: StudyStore, where: RunOptions, request: ProfileRequest, watch: Watch, stop: Event | None = None
) -> Outcome:
    """Measures the networks that the profile lacks and that can be on its front; stores each as soon as it is measured.

    Raises:
        UserError: no network is trained, an exit table is missing, the engine or device is unusable here, or the
            profile of this name is of another machine.
        Interrupted: `stop` was set. What was measured is stored.
    """
    check_writable(store.storage, store.url)
    stop, study = stop or Event(), store.definition.study
    records = _trained(study, store)
    device = resolve_device(request.device)
    engine, device = engine_named(request.engine, device, "--engine")
    threads = request.threads or ENGINES[engine].threads()
    here = this_machine(device, threads, engine)
    name = request.name or default_name(here, ENGINES[engine].threads(), ENGINES[engine].devices)
    check_name(name)
    _check_machine(store, name, here)
    bench = _Bench(store, where, replace(study, engine=engine), str(device), threads, Waiting(watch.say, stop.is_set))
    known = profiled_trials(store, name)
    outcome = Outcome(name, here, sorted(known.keys() & {record.number for record in records}))
    bounds, left = Bounds(study), []
    for record in records:
        if record.number in known:
            bounds.add(with_profile(record, known[record.number]))
        else:
            left.append(record)
    watch.on_begin(name, here, len(outcome.before), len(left))
    _measure_all(bench, outcome, bounds, left, watch)
    return outcome


def _measure_all(bench: _Bench, outcome: Outcome, bounds: Bounds, left: list[TrialRecord], watch: Watch) -> None:
    """Measures one network after the other, until those that are left are out of reach."""
    while (found := next((each for each in left if not bounds.out_of_reach(each)), None)) is not None:
        if bench.waiting.interrupted():
            raise Interrupted
        left.remove(found)
        try:
            measured = _measured(bench, outcome.profile, found)
        except TrialFailure as failure:
            outcome.failed[found.number] = str(failure)
            watch.on_failure(found.number, str(failure))
            continue
        again = with_profile(found, measured)
        bounds.add(again)
        outcome.measured.append(found.number)
        watch.on_end(again, sum(bounds.skips(each) for each in left))
    outcome.skipped = sorted(each.number for each in left)


def default_name(machine: Machine, usual_threads: int, devices: Sequence[str]) -> str:
    """Returns the name of a profile without one: "openvino", "torch-cuda", "onnxruntime-4-threads"."""
    device = f"-{machine.device}" if machine.device != devices[0] else ""
    threads = f"-{machine.threads}-threads" if machine.device == "cpu" and machine.threads != usual_threads else ""
    return f"{machine.engine}{device}{threads}"


def _trained(study: Study, store: StudyStore) -> list[TrialRecord]:
    """Returns the trials whose networks can be on a front, those on the study's own front first."""
    records = [record for record in store.records() if _is_trained(record)]
    if not records:
        allowed = "needs at least one complete trial"
        raise UserError("no-results", "no trained network", where=f"study {study.name}", allowed=allowed)
    check_artefacts(store, records)
    for record in records:
        if not (Path(record.directory) / TABLE).is_file():
            where = f"trial {record.number} of study {study.name}"
            allowed = "restore that folder from a copy, or give the --output that holds it"
            what = "the exit table is missing, from which the front is computed"
            raise UserError("artefact-unreadable", what, where=where, value=record.directory, allowed=allowed)
    entries = [entry for record in records for entry in entries_of(record, study)]
    first = {record.number for record, _ in front_of(entries, study.objectives)}
    return sorted(records, key=lambda record: (record.number not in first, record.number))


def _is_trained(record: TrialRecord) -> bool:
    """Whether a trial is complete, or failed only because its latency could not be measured."""
    unmeasured = record.state == "failed" and record.latency is not None and bool(record.latency.disbelief)
    return bool(record.directory) and record.cost is not None and (record.state == "complete" or unmeasured)


def _check_machine(store: StudyStore, name: str, here: Machine) -> None:
    """Raises UserError if the profile of this name was measured on another machine, or in another engine."""
    held = next((known.unit.machine for known in profiles_of(store) if known.name == name), here)
    if held != here:
        raise UserError(
            "machine-differs",
            f"profile {name!r} was measured on another machine or in another engine",
            where=f"study {store.optuna.study_name}",
            value=here.in_full,
            allowed=f"so far {held.in_full}; begin another profile with --name NAME",
        )


def _measured(bench: _Bench, name: str, record: TrialRecord) -> ProfiledTrial:
    """Measures a network, and stores its latency in the profile's unit with its new frontier.

    Raises:
        TrialFailure: the engine cannot run it, it does not fit in memory, or its latency is not believed.
    """
    report = _report(bench, record)
    if report.disbelief:
        raise TrialFailure("latency-not-measured", f"its latency could not be measured: {report.disbelief}")
    when = datetime.now(UTC).isoformat(timespec="seconds")
    unit = fix_profile(bench.store, DeviceProfile(name, TimeUnit.of(report), when)).unit
    latency = calibrated(report, unit)
    found = ProfiledTrial(record.number, latency, frontier_with(bench.study, record, latency.segments))
    add_profiled(bench.store, name, found)
    return found


def _report(bench: _Bench, record: TrialRecord) -> LatencyReport:
    images = bench.images_of(record)
    spec = TrialSpec(
        record.number, record.candidate, bench.study, record.seed, device=bench.device, threads=bench.threads
    )
    try:
        return measure(spec, untrained_network(record.candidate, images), images, bench.waiting)
    except UserError as error:
        if error.code != "engine-unusable":
            raise
        raise TrialFailure(error.code, str(error)) from error
    except RuntimeError as error:
        if not (reason := out_of_memory(error)):
            raise
        raise TrialFailure("latency-not-measured", reason) from error
