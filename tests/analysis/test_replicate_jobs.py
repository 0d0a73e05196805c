"""Several processes that train replicates of one study: who is at what, with trials that are made up."""

import socket
import time
from collections import Counter
from threading import Event

import pytest
from optuna.trial import TrialState
from tiny import made_record, tiny_candidate, tiny_study

from searchlab.analysis.replicate_jobs import JOB, Job, Jobs, first_trials
from searchlab.search import heartbeat
from searchlab.search.heartbeat import ALIVE_S, Leases
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore
from searchlab.study import TrialSpec

STUDY = tiny_study()
WANTED = [Job(trial, run) for run in (1, 2) for trial in (7, 3)]


class Time(Event):
    """The clock, which stands still but while it is waited; `then` is called each time."""

    def __init__(self):
        super().__init__()
        self.now, self.then = time.time(), lambda: None

    def wait(self, timeout=None):
        self.now += timeout
        self.then()
        return self.is_set()


class Process:
    """A process on another machine than the others."""

    def __init__(self, name, url, clock, monkeypatch):
        store = StudyStore.load(STUDY.name, open_storage(url, create=False), url).companion(create=True)
        self.name, self.patch, self.running = name, monkeypatch, {}
        self.said, self.heard = [], []
        on_end = lambda job, record: self.heard.append((job, record.state))  # noqa: E731
        self.jobs = Jobs(store, WANTED, set(), clock, self.said.append, on_end)

    def here(self, what):
        with self.patch.context() as patch:
            patch.setattr(socket, "gethostname", lambda: self.name)
            return what()

    def next(self):
        """The job that it is at now; None where there is none."""
        taken = self.here(lambda: self.jobs.next(self.running))
        if taken is None:
            return None
        job, trial = taken
        self.running[trial.number] = taken
        return job

    def end(self, job):
        number = next(number for number, (each, _) in self.running.items() if each == job)
        _, trial = self.running.pop(number)
        record = made_record(TrialSpec(number, tiny_candidate(), STUDY))
        finish = lambda: self.jobs.store.finish(trial, record, [0.9, 1.0])  # noqa: E731
        written = self.here(lambda: self.jobs.leases.write(trial, finish))
        self.jobs.ended |= {job} if written else set()
        return written


@pytest.fixture
def clock(monkeypatch):
    found = Time()
    monkeypatch.setattr(heartbeat.time, "time", lambda: found.now)
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: found.now)
    return found


@pytest.fixture
def process(tmp_path, clock, monkeypatch):
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    StudyStore.create(Definition(STUDY, STUDY, ""), open_storage(url, create=True), url)
    return lambda name: Process(name, url, clock, monkeypatch)


def test_two_processes_share_the_jobs_and_none_is_trained_twice(process):
    first, second = process("first"), process("second")
    done = Counter()
    while True:
        jobs = [each.next() for each in (first, second)]
        for each, job in zip((first, second), jobs, strict=True):
            if job is not None:
                assert each.end(job)
                done[job] += 1
        if jobs == [None, None]:
            break
    assert done == Counter(WANTED)
    assert sorted(map(str, (job for job, _ in first.heard + second.heard))) == sorted(map(str, WANTED)), (
        "what others end"
    )
    assert set(first_trials(first.jobs.store.trials())) == set(WANTED)


def test_two_that_begin_the_same_at_the_same_moment_the_first_keeps_it(process, monkeypatch):
    first, second = process("first"), process("second")
    begin = Leases.begin

    def both(leases, attributes):
        """The other process begins the same between this one's look and its first write."""
        monkeypatch.setattr(Leases, "begin", begin)
        assert second.next() == WANTED[0]
        return begin(leases, attributes)

    monkeypatch.setattr(Leases, "begin", both)
    assert first.next() == WANTED[1]
    states = [(trial.user_attrs[JOB]["trial"], trial.state) for trial in first.jobs.store.trials()]
    assert states == [(7, TrialState.RUNNING), (7, TrialState.FAIL), (3, TrialState.RUNNING)]


@pytest.mark.slow
def test_what_a_lost_process_began_is_waited_for_and_then_taken_up(process, clock):
    first, second = process("first"), process("second")
    lost = first.next()
    for job in WANTED[1:]:
        assert second.next() == job and second.end(job)
    began = clock.now
    assert second.next() == lost and ALIVE_S <= clock.now - began <= ALIVE_S + 2 * heartbeat.LOOKS_S
    (said,) = second.said
    assert "on first, which runs trial 7, fresh seed 1; until" in said
    assert second.end(lost)
    first.here(first.jobs.leases.renew)
    assert not first.end(lost), "it is the other's now"
    assert second.next() is None


def test_what_a_living_process_is_at_is_said_at_the_end(process, clock):
    first, second = process("first"), process("second")
    first.next()
    for job in WANTED[1:]:
        assert second.next() == job and second.end(job)
    clock.then = lambda: first.here(first.jobs.leases.renew)
    assert second.next() is None
    assert second.said[-1].startswith("trial 7, fresh seed 1 runs elsewhere (process ")
