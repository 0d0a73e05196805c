"""Between the store and the runner: what is tried next, and what is made of the answer."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Protocol

import numpy as np
from optuna.samplers import BaseSampler
from optuna.trial import Trial

from searchlab.architecture import ImageSpec
from searchlab.candidate import Candidate, Space
from searchlab.errors import UserError
from searchlab.front import Entry, entries_of, front_of, reference_of, scaled_values, yardsticks
from searchlab.model.cost import excess_over, network_cost
from searchlab.operating_point import Frontier, OperatingPoint
from searchlab.pareto import Values, contributions, hypervolume, values_of
from searchlab.record import Epoch, TrialRecord
from searchlab.search.early_stopping import Stopper, rule_for
from searchlab.search.samplers import joint_space, sampler_for
from searchlab.search.spaces import propose
from searchlab.search.store import StudyStore, record_of, storage_errors
from searchlab.study import RunOptions, Study, TrialSpec
from searchlab.trial import infeasible

FAILURES_AT_FIRST = 3
"""So many trials that fail, where none that was trained did not, end the study: the fault is not theirs."""


class Watch(Protocol):
    """Who looks on while a study runs."""

    def on_begin(self, records: Sequence[TrialRecord]) -> None:
        """The study goes on from these trials."""

    def on_start(self, spec: TrialSpec) -> None:
        """A trial begins."""

    def on_epoch(self, number: int, epoch: Epoch) -> None:
        """A trial finished an epoch."""

    def on_end(self, record: TrialRecord) -> None:
        """A trial ended, however it did."""


@dataclass(frozen=True)
class Problem:
    """What is searched: the study, its space, and the shape of its images."""

    study: Study
    space: Space
    images: ImageSpec


@dataclass
class Driver:
    """The Source of a study's trials: asks the sampler, tells the store. One a process, one a study."""

    problem: Problem
    store: StudyStore
    options: RunOptions
    device: str
    watch: Watch
    stop: Event = field(default_factory=Event)
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.study = self.problem.study
        rule = rule_for(self.study.early_stopping)
        self.stopper = Stopper(rule, self.study.objectives, self.store.rung_reports())
        self.left_over = self.store.unfinished()
        self.records = [r for r in self.store.records() if r.number not in self.left_over]
        self.running: dict[int, Trial] = {}
        self.joint = joint_space()
        self.front: list[Entry] = []
        found = [entry for record in self.records for entry in entries_of(record, self.study)]
        self.front = front_of(found, self.study.objectives)
        self.watch.on_begin(self.records)

    # -- what the runner calls: see runners.source.Source

    def ask(self) -> TrialSpec | None:
        """The next trial that holds the limits; those that do not are recorded on the way."""
        while not self.interrupted():
            with storage_errors(self.store.url):
                trial = self._next()
                if trial is None:
                    return None
                candidate, seed = self._candidate(trial), self._seed(trial)
            cost = network_cost(candidate, self.problem.images)
            excess = excess_over(cost, self.study.max_params, self.study.max_macs)
            self.running[trial.number] = trial
            if not excess:
                self.store.begin(trial, candidate, seed)
                spec = self._spec(trial.number, candidate, seed)
                self.watch.on_start(spec)
                return spec
            self.tell(infeasible(TrialRecord(trial.number, "infeasible", candidate, seed, cost=cost), excess))
        return None

    def tell(self, record: TrialRecord) -> None:
        """Writes the record; a complete trial's frontier joins the front, a failed one is compared with no more.

        Raises:
            UserError: trial after trial fails.
        """
        values = self._told_values(record)
        self.store.finish(self.running.pop(record.number), record, values)
        if record.state == "failed":
            self.stopper.forget(record.number)
        self.records.append(record)
        self.front = front_of([*self.front, *entries_of(record, self.study)], self.study.objectives)
        self.watch.on_end(record)
        trained = [r for r in self.records if r.state != "infeasible"]
        if len(trained) >= FAILURES_AT_FIRST and all(r.state == "failed" for r in trained):
            where = f"study {self.study.name}"
            raise UserError(f"all {len(trained)} trials failed, so no more begin", where=where, allowed=record.reason)

    def on_epoch(self, number: int, epoch: Epoch) -> None:
        """Passes the epoch on to who looks on."""
        self.watch.on_epoch(number, epoch)

    def on_rung(self, number: int, epoch: int, frontier: Frontier) -> bool:
        """Whether the study's early-stopping rule lets the trial go on."""
        report = self.stopper.judge(number, epoch, values_of(frontier.points, self.study.objectives))
        self.store.keep_rung(self.running[number], report)
        return report.goes_on

    def interrupted(self) -> bool:
        """Whether the user asked to end."""
        return self.stop.is_set()

    # -- what the driver makes of it

    @property
    def hypervolume(self) -> float:
        """Of the front so far; see `front.study_hypervolume`."""
        return hypervolume(self._scaled([point for _, point in self.front]), reference_of(self.study.objectives))

    def _next(self) -> Trial | None:
        """A trial that an earlier driver began and did not finish, else a new one while the budget lasts."""
        while self.left_over:
            number = self.left_over.pop(0)
            trial = self.store.again(number, self._sampler(number))
            # The record may have been written before the state was told: then nothing is trained twice.
            written = record_of(trial)
            if written is None or written.state == "running":
                return trial
            self.running[number] = trial
            self.tell(written)
        hours = (time.monotonic() - self.started) / 3600
        if len(self.records) + len(self.running) >= self.study.trials:
            return None
        if self.study.hours is not None and hours >= self.study.hours:
            return None
        self.store.optuna.sampler = self._sampler(len(self.store.trials()))
        return self.store.optuna.ask()

    def _sampler(self, number: int) -> BaseSampler:
        return sampler_for(self.study.sampler, self.study.seed, number, self.joint)

    def _candidate(self, trial: Trial) -> Candidate:
        """What an earlier driver was about to train, whatever the space says today; else what the space proposes."""
        begun = record_of(trial)
        return begun.candidate if begun else propose(self.problem.space, trial, self.problem.images, self.study)

    def _seed(self, trial: Trial) -> int:
        return self.study.seed * 100_003 + trial.number

    def _spec(self, number: int, candidate: Candidate, seed: int) -> TrialSpec:
        directory = self.options.trial_directory(self.study.name, number)
        return TrialSpec(
            number, candidate, self.study, seed, directory, self.device, self.options.threads, self._reference_ms()
        )

    def _reference_ms(self) -> float | None:
        """The reference's latency when the study first measured it."""
        return next((record.latency.reference.p50 for record in self.records if record.latency), None)

    def _told_values(self, record: TrialRecord) -> list[float] | None:
        """The objectives of the point that adds most hypervolume to the front; None where the trial is not complete."""
        if record.state != "complete":
            return None
        assert record.frontier is not None
        points = record.frontier.points
        scaled_PM = self._scaled(points, [record])
        front_FM = self._scaled([point for _, point in self.front], [record])
        best = points[int(np.argmax(contributions(scaled_PM, front_FM, reference_of(self.study.objectives))))]
        return [float(getattr(best, objective.name)) for objective in self.study.objectives]

    def _scaled(self, points: Sequence[OperatingPoint], more: Sequence[TrialRecord] = ()) -> Values:
        lengths = yardsticks(self.study, [*self.records, *more])
        return scaled_values(points, self.study.objectives, lengths)
