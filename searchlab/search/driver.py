"""Driver: supplies trials from the sampler and the store to a runner, and stores their results."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Event
from typing import Protocol

from optuna.samplers import BaseSampler
from optuna.trial import Trial

from searchlab.architecture import ImageSpec
from searchlab.candidate import Candidate, Space
from searchlab.errors import UserError
from searchlab.front.history import SearchHistory
from searchlab.front.pareto import closest_to_front, values_of
from searchlab.front.points import cost_scales, entries_of, reference_of, scaled_values
from searchlab.operating_point import Frontier
from searchlab.record import Epoch, TimeUnit, TrialRecord
from searchlab.search.budget import Spent, reason_to_end
from searchlab.search.early_stopping import Stopper, rule_for
from searchlab.search.enqueued import Mark
from searchlab.search.heartbeat import Leases, Standby
from searchlab.search.samplers import joint_space, sampler_for
from searchlab.search.spaces import propose
from searchlab.search.storage import storage_errors
from searchlab.search.store import StudyStore
from searchlab.search.study_facts import fix_unit, unit_of
from searchlab.seeds import trial_seed
from searchlab.study import RunOptions, Study, TrialSpec, with_engine
from searchlab.trial import sized

RANDOM_AFTER, REPEATS = 20, 100
"""Consecutive repeated proposals after which proposals are random; and after which the study ends."""

FAILURES_AT_FIRST = 3
"""Failed trials, with no trained trial that succeeded, that end the study: the fault is not the candidates'."""


log = logging.getLogger("searchlab")


class Watch(Protocol):
    """Observer of a running study."""

    def on_begin(self, history: SearchHistory) -> None:
        """Called when the study continues. The driver adds each ended trial to the history before it calls `on_end`."""

    def on_start(self, spec: TrialSpec) -> None:
        """Called when a trial begins."""

    def on_epoch(self, number: int, epoch: Epoch) -> None:
        """Called when a trial has finished an epoch."""

    def on_phase(self, number: int | None, phase: str) -> None:
        """Called when a trial (None: the study itself) enters a phase that may take a while."""

    def on_word(self, number: int, text: str) -> None:
        """Receives a message of a trial, for example that it waits for a lock."""

    def on_end(self, record: TrialRecord) -> None:
        """Called when a trial has ended."""


@dataclass(frozen=True)
class Problem:
    """The search problem: the study, its space, and the shape of its images."""

    study: Study
    space: Space
    images: ImageSpec


def _silent(line: str) -> None:
    pass


@dataclass
class Driver:
    """TrialSource of a study: asks the sampler, writes to the store. One per process; several may share a study.

    `ended_by` is why no more trials begin, once none does; `say` is told what is waited for, and the `notes` when the
    runner asks for the first trial: then nothing can refuse the run any more.
    """

    problem: Problem
    store: StudyStore
    options: RunOptions
    device: str
    watch: Watch
    stop: Event = field(default_factory=Event)
    started: float = field(default_factory=time.monotonic)
    say: Callable[[str], None] = _silent
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.study = self.problem.study
        rule = rule_for(self.study.early_stopping)
        self.stopper = Stopper(rule, self.study.objectives, self.store.rung_reports())
        self.history = SearchHistory(self.study, self.store.ended())
        self.known = {record.number for record in self.records}
        self.leases = Leases(self.store.optuna, self.store.storage, self.store.url)
        self.standby = Standby(self.leases, self.stop.wait, self.say)
        self.ended_by = ""
        self.running: dict[int, Trial] = {}
        self.joint = joint_space()
        self.tried = {r.candidate.id: r.number for r in self.records if r.state != "failed"}
        self.repeated = 0
        self.begun = False

    # -- called by the runner: see runners.trial_source.TrialSource

    def ask(self) -> TrialSpec | None:
        """Returns the next trial that can be built, meets the limits and is new; records other proposals on the way.

        Raises:
            UserError: the first trials all failed.
        """
        if not self.begun:
            self._begin()
        self.watch.on_phase(None, "choosing the next trial")
        while not self.interrupted():
            with storage_errors(self.store.url):
                trial = self._next()
                if trial is None:
                    return None
                mark, first = self.store.mark(trial.number)
                if first != trial.number:
                    # Two drivers enqueued the same configuration at the same time.
                    self.store.leave_out(trial, first)
                    continue
                candidate, seed = self._candidate(trial), self._seed(trial)
            if self._repeats(trial, candidate, mark):
                continue
            self.running[trial.number] = trial
            known = TrialRecord(trial.number, "failed", candidate, seed, row=mark.row if mark else "")
            known = sized(known, self.study, self.problem.images)
            if not known.reason:
                self.store.begin(trial, candidate, seed)
                spec = self._spec(trial.number, candidate, seed)
                spec = replace(spec, checkpoint=self.store.checkpoint(trial), row=known.row)
                self.watch.on_start(spec)
                return spec
            self.tell(known)
        return None

    def _begin(self) -> None:
        self.begun = True
        self.watch.on_begin(self.history)
        for line in self.notes:
            self.say(line)

    def tell(self, record: TrialRecord) -> None:
        """Writes the record. A complete trial's frontier joins the front; a failed one leaves the comparison at rungs.

        Raises:
            UserError: the first trials all failed.
        """
        trial, record = self.running.pop(record.number), self._comparable(record)
        values = self._told_values(record)
        if not self.leases.write(trial, lambda: self.store.finish(trial, record, values)):
            log.warning(
                "trial %d: result discarded: this driver sent no heartbeat, and another driver took the trial over",
                record.number,
            )
            return
        self._take_in(record)
        trained = [r for r in self.records if r.state != "infeasible"]
        if len(trained) >= FAILURES_AT_FIRST and all(r.state == "failed" for r in trained):
            where = f"study {self.study.name}"
            raise UserError(
                "all-trials-failed",
                f"all {len(trained)} trials failed; no more trials begin",
                where=where,
                allowed=record.reason,
            )

    def on_epoch(self, number: int, epoch: Epoch) -> None:
        """Passes the epoch to the observer."""
        self.watch.on_epoch(number, epoch)

    def on_phase(self, number: int | None, phase: str) -> None:
        """Passes the phase to the observer."""
        self.watch.on_phase(number, phase)

    def on_word(self, number: int, text: str) -> None:
        """Passes a message of a trial to the observer."""
        self.watch.on_word(number, text)

    def on_rung(self, number: int, epoch: int, frontier: Frontier) -> bool:
        """Applies the early-stopping rule; a trial that another driver has taken over ends."""
        trial = self.running[number]
        if not self.leases.holds(trial):
            return False
        # The decisions of an earlier driver on a trial stay valid.
        report = self.stopper.decided(number, epoch)
        if report is None:
            report = self.stopper.judge(number, epoch, values_of(frontier.points, self.study.objectives))
            return self.leases.write(trial, partial(self.store.keep_rung, trial, report)) and report.goes_on
        return report.goes_on

    def on_checkpoint(self, number: int, path: str) -> None:
        """Stores where a running trial can be continued."""
        trial = self.running[number]
        self.leases.write(trial, lambda: self.store.keep_checkpoint(trial, path))

    def interrupted(self) -> bool:
        """Whether the user asked to end."""
        return self.stop.is_set()

    @property
    def unit(self) -> TimeUnit | None:
        """The study's unit of time; see `search.study_facts`."""
        return unit_of(self.store, self.records)

    def fix_unit(self, unit: TimeUnit) -> TimeUnit:
        """Sets the study's unit of time if it has none yet; returns the one that holds."""
        return fix_unit(self.store, self.records, unit)

    # -- internal to the driver

    @property
    def records(self) -> list[TrialRecord]:
        """Records of all trials that ended; see `SearchHistory`."""
        return self.history.records

    def _next(self) -> Trial | None:
        """Returns an unfinished trial, else a new one while the budget lasts.

        At the end it waits for other drivers, until their trials end or their heartbeats are seen.
        """
        while not self.stop.is_set():
            self._catch_up()
            self.leases.renew_if_due()
            left_over, elsewhere = self.store.unfinished()
            if (trial := self._taken_up(left_over)) is not None:
                return trial
            self.ended_by = self._reason_to_end(elsewhere)
            if not self.ended_by:
                self.store.optuna.sampler = self._sampler(self.store.next_number())
                trial = self.store.optuna.ask()
                if self.leases.sign(trial):
                    return trial
            elif self.running or not elsewhere:
                return None
            elif self.standby.over(named := {number: f"trial {number}" for number in elsewhere}):
                self.ended_by = f"{self.ended_by}; {self.standby.elsewhere(named)}"
                return None
        return None

    def _taken_up(self, left_over: Sequence[int]) -> Trial | None:
        """Takes over the first available trial of a list, with all that the store has of it."""
        for number in (number for number in left_over if number not in self.running):
            trial = self.store.again(number, self._sampler(number))
            if not self.leases.take(trial):
                continue
            self.stopper.learn(self.store.rung_reports({number}))
            # An earlier driver may have written the record before the state: then nothing is trained twice.
            written = self.store.record(trial)
            if written is None or written.state == "running":
                return trial
            self.running[number] = trial
            self.tell(written)
        return None

    def _reason_to_end(self, elsewhere: Sequence[int]) -> str:
        """Returns why no more trials begin; "" while they do."""
        if self.repeated >= REPEATS:
            return f"each of the last {REPEATS} proposals repeats an earlier trial"
        hours = (time.monotonic() - self.started) / 3600
        running = len({*self.running, *elsewhere})
        return reason_to_end(self.study, Spent(self.history, running, hours)) or ""

    def _catch_up(self) -> None:
        """Reads the trials that other drivers of the study have ended since."""
        others = self.store.ended(besides=self.known)
        if others:
            self.stopper.learn(self.store.rung_reports({record.number for record in others}))
        for record in others:
            self._take_in(record)

    def _take_in(self, record: TrialRecord) -> None:
        self.known.add(record.number)
        if record.state == "failed":
            self.stopper.forget(record.number)
        else:
            self.tried.setdefault(record.candidate.id, record.number)
        self.history.add(record)
        self.watch.on_end(record)

    def _sampler(self, number: int) -> BaseSampler:
        name = self.study.sampler if self.repeated < RANDOM_AFTER else "random"
        return sampler_for(name, self.study.seed, number, self.joint, self.study.files)

    def _repeats(self, trial: Trial, candidate: Candidate, mark: Mark | None) -> bool:
        """Whether a proposal was tried before; if so, the sampler gets the known result.

        Enqueued configurations are always trained, even repeatedly.
        """
        again = (mark is None or mark.drawn) and candidate.id in self.tried
        self.repeated = self.repeated + 1 if again else 0
        if again:
            self.store.repeat(trial, self.tried[candidate.id])
        return again

    def _candidate(self, trial: Trial) -> Candidate:
        """Returns the candidate that an earlier driver began, else the space's proposal."""
        begun = self.store.record(trial)
        return begun.candidate if begun else propose(self.problem.space, trial, self.problem.images, self.study)

    def _seed(self, trial: Trial) -> int:
        return trial_seed(self.study.seed, trial.number)

    def _spec(self, number: int, candidate: Candidate, seed: int) -> TrialSpec:
        directory = self.options.trial_directory(self.study.name, number)
        unit = self.unit
        study = with_engine(self.study, unit.machine.engine if unit else None)
        return TrialSpec(number, candidate, study, seed, directory, self.device, self.options.threads)

    def _comparable(self, record: TrialRecord) -> TrialRecord:
        """Returns the record; failed if its latency was measured on another machine than the study's.

        Drivers on two machines may both measure first latencies at the same time.
        """
        if record.latency is None or record.state == "failed":
            return record
        unit, machine = self.fix_unit(TimeUnit.of(record.latency)), record.latency.machine
        if machine == unit.machine:
            return record
        reason = (
            f"its latency was measured on another machine ({machine.in_full}) than the study's ({unit.machine.in_full})"
        )
        return replace(record, state="failed", reason=reason, frontier=None)

    def _told_values(self, record: TrialRecord) -> list[float] | None:
        """Returns the values of the point that adds most to the front, or is nearest to it; see `closest_to_front`.

        If no point is accurate enough for the front, those of the most accurate one. None if the trial is not complete.
        """
        if record.state != "complete":
            return None
        assert record.frontier is not None
        best = max(record.frontier.points, key=lambda point: point.accuracy)
        if points := [point for _, point in entries_of(record, self.study)]:
            scales = cost_scales(self.study, [*self.records, record])
            scaled_PM = scaled_values(points, self.study.objectives, scales)
            front_FM = scaled_values([point for _, point in self.history.front], self.study.objectives, scales)
            best = points[closest_to_front(scaled_PM, front_FM, reference_of(self.study.objectives))]
        return [float(getattr(best, objective.name)) for objective in self.study.objectives]
