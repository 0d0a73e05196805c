"""Jobs of replicates: several processes share them, and none is trained twice."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event

from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic.dataclasses import dataclass as noun

from searchlab.record import TrialRecord
from searchlab.search.attributes import read_noun
from searchlab.search.heartbeat import Leases, Standby
from searchlab.search.storage import storage_errors
from searchlab.search.store import StudyStore
from searchlab.serialization import NOUN, to_plain

JOB = "job"
"""User attribute of a companion's trial with its job."""


@noun(frozen=True, config=NOUN)
class Job:
    """A requested training: the trial whose candidate it is, and the number of its fresh seed, from 1."""

    trial: int
    run: int

    def __str__(self) -> str:
        return f"trial {self.trial}, fresh seed {self.run}"


@dataclass
class Jobs:
    """The requested jobs in order, and those that ended, here or in another process.

    `store` is the companion, whose trials show which process has which job. `on_end` is called for jobs that other
    processes ended.
    """

    store: StudyStore
    wanted: Sequence[Job]
    ended: set[Job]
    stop: Event
    say: Callable[[str], None]
    on_end: Callable[[Job, TrialRecord], None]
    leases: Leases = field(init=False)

    def __post_init__(self) -> None:
        self.leases = Leases(self.store.optuna, self.store.storage, self.store.url)
        self.standby = Standby(self.leases, self.stop.wait, self.say)

    def next(self, running: Collection[int]) -> tuple[Job, Trial] | None:
        """Returns a free job with its trial; None if there is none. `running` are trials of this process.

        At the end it waits for other processes, until their jobs end or their heartbeats are seen.
        """
        self._end_without_job()
        while not self.stop.is_set():
            self.leases.renew_if_due()
            (left, elsewhere), first = self.store.unfinished(), first_trials(self.store.trials())
            self._catch_up(first)
            free = [job for job in self.wanted if job not in first or first[job].number in {*left} - {*running}]
            for job in free:
                trial = self._taken_up(first[job].number) if job in first else self._begun(job)
                if trial is not None:
                    return job, trial
            others = {first[job].number: str(job) for job in self.wanted if job in first}
            others = {number: job for number, job in others.items() if number in elsewhere}
            if not free and (running or not others):
                return None
            if not free and self.standby.over(others):
                self.say(self.standby.elsewhere(others))
                return None
        return None

    def _end_without_job(self) -> None:
        """Ends trials whose process died before it stored the job, as earlier versions could leave them."""
        for number in self.store.unfinished()[0]:
            if job_of(self.store.trials()[number]) is None and (trial := self._taken_up(number)):
                self._leave_out(trial)

    def _catch_up(self, first: Mapping[Job, FrozenTrial]) -> None:
        for job in self.wanted:
            if job not in self.ended and job in first and first[job].state.is_finished():
                self.ended.add(job)
                record = self.store.record(first[job])
                assert record is not None
                self.on_end(job, record)

    def _begun(self, job: Job) -> Trial | None:
        """Creates a trial for a job; None if another process created one at the same time, which then counts."""
        trial = self.leases.begin({JOB: to_plain(job)})
        if first_trials(self.store.trials())[job].number == trial.number:
            return trial
        self._leave_out(trial)
        return None

    def _taken_up(self, number: int) -> Trial | None:
        """Takes over the trial of a dead process; None if another process was faster."""
        trial = self.store.again(number, self.store.optuna.sampler)
        return trial if self.leases.take(trial) else None

    def _leave_out(self, trial: Trial) -> None:
        with storage_errors(self.store.url):
            self.store.optuna.tell(trial, state=TrialState.FAIL)


def first_trials(trials: Sequence[FrozenTrial]) -> dict[Job, FrozenTrial]:
    """Returns the trial that counts for every job: the first one with a present or possible record."""
    found: dict[Job, FrozenTrial] = {}
    for trial in trials:
        job = job_of(trial)
        if job is not None and ("record" in trial.user_attrs or not trial.state.is_finished()):
            found.setdefault(job, trial)
    return found


def job_of(trial: FrozenTrial) -> Job | None:
    """Returns the job of a companion's trial; None if its process died before storing it."""
    return read_noun(Job, trial.user_attrs, JOB, f"replicate {trial.number}") if JOB in trial.user_attrs else None
