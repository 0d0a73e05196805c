"""Replicates: trains a front's candidates again with fresh seeds, beside the study, unseen by its search."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from sys import float_info
from threading import Event
from typing import Protocol

from optuna.trial import Trial

from searchlab.analysis.rate_matched import readings_of
from searchlab.analysis.replicate_jobs import Job, Jobs
from searchlab.analysis.stored_replicates import READINGS, replicates_of
from searchlab.data.splits import Dataset
from searchlab.deploy.own_scores import use_scores
from searchlab.errors import Interrupted, UserError
from searchlab.front.points import study_front
from searchlab.front.replicates import Reading, Replicate
from searchlab.measure.device import resolve_device
from searchlab.operating_point import Frontier
from searchlab.record import Epoch, TimeUnit, TrialRecord
from searchlab.schema import versioned
from searchlab.search.attributes import write
from searchlab.search.driver_lock import only_driver
from searchlab.search.launch import load_data, run_trials
from searchlab.search.same_unit import same_machine
from searchlab.search.storage import check_writable, storage_errors
from searchlab.search.store import StudyStore
from searchlab.search.study_facts import fix_unit, same_data, unit_of
from searchlab.search.study_folder import claim
from searchlab.seeds import replicate_seed
from searchlab.serialization import to_plain
from searchlab.study import RunOptions, Study, TrialSpec, with_engine
from searchlab.trial import failed

log = logging.getLogger("searchlab")


def _silent(line: str) -> None:
    pass


class ReplicateWatch(Protocol):
    """Observer of running replicates."""

    def on_begin(self, done: Sequence[Replicate], left: Sequence[tuple[Job, TrialRecord]]) -> None:
        """Receives the finished replicates, and the pending jobs with the trials that they repeat."""

    def on_start(self, job: Job, spec: TrialSpec) -> None:
        """Called when a training begins."""

    def on_epoch(self, job: Job, epoch: Epoch) -> None:
        """Called when a training has finished an epoch."""

    def on_phase(self, job: Job | None, phase: str) -> None:
        """Called when a training (None: the run itself) enters a phase that may take a while."""

    def on_word(self, job: Job, text: str) -> None:
        """Receives a message of a training, for example that it waits for a lock."""

    def on_end(self, job: Job, record: TrialRecord) -> None:
        """Called when a training has ended."""


@dataclass(frozen=True)
class Replication:
    """What to repeat: the candidates of the front (thinned to `points`), with `seeds` trainings each.

    `say` receives messages about the work of other processes.
    """

    store: StudyStore
    options: RunOptions
    watch: ReplicateWatch
    seeds: int = 3
    points: int = 12
    runner: str = "local"
    stop: Event = field(default_factory=Event)
    say: Callable[[str], None] = _silent


def replicate(asked: Replication) -> None:
    """Trains the missing replicates, and re-evaluates the front's points on each.

    Raises:
        UserError: the front is empty, the data or the machine are not those of the study, or another process runs it.
        Interrupted: the user asked to end.
    """
    study, records = asked.store.definition.study, asked.store.records()
    wanted = originals(study, records, asked.points)
    if not wanted:
        what, where = "the front is empty: no candidate to train again", f"study {study.name}"
        raise UserError(
            "no-results", what, where=where, allowed=f"needs a complete trial: see `searchlab trials {study.name}`"
        )
    check_writable(asked.store.storage, asked.store.url)
    use_scores(study)
    asked.watch.on_phase(None, f"reading {study.data}")
    dataset = load_data(study, asked.options)
    same_data(asked.store, records, dataset)
    unit = unit_of(asked.store, records)
    options = same_machine(unit, study, asked.options, resolve_device(asked.options.device))
    with only_driver(study.name, options):
        claim(options.output / study.name, asked.store, records)
        source = Replicator(replace(asked, options=options), records, wanted, dataset)
        with source.jobs.leases.renewed():
            run_trials(source, dataset, asked.runner, options)
    if asked.stop.is_set():
        raise Interrupted


def originals(study: Study, records: Sequence[TrialRecord], most: int) -> list[TrialRecord]:
    """Returns the trials of the front as `searchlab front` shows it, the best first, one per candidate."""
    found: dict[str, TrialRecord] = {}
    for point in study_front(study, records, most=most):
        found.setdefault(point.record.candidate.id, point.record)
    return list(found.values())


def as_replicated(study: Study) -> Study:
    """The study as its replicates are trained: to the end, whatever the limits say today.

    The original trial met the limits. Its latency is measured again, because gates learn from it.
    """
    boundless = None if study.max_latency_ms is None else float_info.max
    free = replace(study, max_params=None, max_macs=None, max_latency_ms=boundless)
    return replace(free, early_stopping="none", rungs=(), curves=False)


class Replicator:
    """TrialSource of replicates: those not in the store yet, first seeds of all candidates before second ones."""

    def __init__(
        self, asked: Replication, records: Sequence[TrialRecord], wanted: Sequence[TrialRecord], dataset: Dataset
    ) -> None:
        companion = asked.store.companion(create=True)
        assert companion is not None
        self.asked, self.store, self.dataset, self.records = asked, companion, dataset, records
        self.study, self.options = asked.store.definition.study, asked.options
        self.originals = {record.number: record for record in wanted}
        done = replicates_of(asked.store)
        wanted_jobs = [Job(number, run + 1) for run in range(asked.seeds) for number in self.originals]
        ended = {Job(replicate.trial, replicate.run) for replicate in done}
        self.jobs = Jobs(companion, wanted_jobs, ended, asked.stop, asked.say, asked.watch.on_end)
        self.running: dict[int, tuple[Job, Trial]] = {}
        left = [(job, self.originals[job.trial]) for job in wanted_jobs if job not in ended]
        asked.watch.on_begin(done, left)

    # -- called by the runner: see runners.trial_source.TrialSource

    @property
    def unit(self) -> TimeUnit | None:
        """The study's."""
        return unit_of(self.asked.store, self.records)

    def fix_unit(self, unit: TimeUnit) -> TimeUnit:
        """The study's."""
        return fix_unit(self.asked.store, self.records, unit)

    def ask(self) -> TrialSpec | None:
        """Returns the next replicate."""
        while (taken := self.jobs.next(self.running)) is not None:
            job, trial = taken
            # An earlier process may have written the record before the state: then nothing is trained twice.
            written = self.store.record(trial)
            self.running[trial.number] = job, trial
            if written is not None and written.state != "running":
                self.tell(written)
                continue
            spec = self._spec(job, trial.number)
            self.store.begin(trial, spec.candidate, spec.seed)
            self.asked.watch.on_start(job, spec)
            return spec
        return None

    def tell(self, record: TrialRecord) -> None:
        """Re-evaluates the front's points on a replicate, then stores it; an unreadable one is failed."""
        job, trial = self.running.pop(record.number)
        try:
            readings = None if "record" in trial.user_attrs else self._readings(record)
        except UserError:
            raise
        except Exception as error:  # Of any type, as in a trial: e.g. logits on the test split may not be finite.
            record, readings = failed(record, error, record.epochs), None
        self._end(job, trial, record, readings)

    def _end(self, job: Job, trial: Trial, record: TrialRecord, readings: tuple[Reading, ...] | None) -> None:
        """Stores a replicate with new readings, unless another process has taken it over."""
        values = None
        if record.state == "complete":
            assert record.frontier is not None
            best = max(record.frontier.points, key=lambda point: point.accuracy)
            values = [float(getattr(best, objective.name)) for objective in self.study.objectives]

        def keep() -> None:
            if readings is not None:
                with storage_errors(self.store.url):
                    write(trial.set_user_attr, READINGS, [versioned(to_plain(reading)) for reading in readings])
            self.store.finish(trial, record, values)

        if not self.jobs.leases.write(trial, keep):
            log.warning(
                "%s: result discarded: this process sent no heartbeat, and another process took the training over", job
            )
            return
        self.jobs.ended.add(job)
        self.asked.watch.on_end(job, record)

    def _readings(self, record: TrialRecord) -> tuple[Reading, ...] | None:
        """Returns the front's points on a complete replicate; None for any other."""
        if record.state != "complete":
            return None
        # The set of points on the front may change.
        alike = [r for r in self.records if r.state == "complete" and r.candidate.id == record.candidate.id]
        return readings_of(record, alike, self.dataset, self.asked.options.device)

    def on_epoch(self, number: int, epoch: Epoch) -> None:
        """Passes the epoch to the observer."""
        self.asked.watch.on_epoch(self.running[number][0], epoch)

    def on_phase(self, number: int | None, phase: str) -> None:
        """Passes the phase to the observer."""
        self.asked.watch.on_phase(None if number is None else self.running[number][0], phase)

    def on_word(self, number: int, text: str) -> None:
        """Passes a message of a training to the observer."""
        self.asked.watch.on_word(self.running[number][0], text)

    def on_rung(self, number: int, epoch: int, frontier: Frontier) -> bool:
        """Returns True: a replicate is never stopped."""
        return True

    def on_checkpoint(self, number: int, path: str) -> None:
        """Does nothing: a replicate of a dead process is trained again from its beginning."""

    def interrupted(self) -> bool:
        """Whether the user asked to end."""
        return self.asked.stop.is_set()

    def _spec(self, job: Job, number: int) -> TrialSpec:
        original, options = self.originals[job.trial], self.asked.options
        unit = self.unit
        return TrialSpec(
            number=number,
            candidate=original.candidate,
            study=as_replicated(with_engine(self.study, unit.machine.engine if unit else None)),
            seed=replicate_seed(original.seed, job.run),
            directory=options.replicate_directory(self.study.name, job.trial, job.run),
            device=str(resolve_device(options.device)),
            threads=options.threads,
        )
