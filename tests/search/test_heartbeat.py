"""Several drivers on one study: who began what, and what becomes of it where its driver is gone."""

import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from threading import Event

import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState
from tiny import IMAGES, Seen, made_record, tiny_space, tiny_study

from searchlab.errors import UserError
from searchlab.search import heartbeat
from searchlab.search.driver import Driver, Problem
from searchlab.search.early_stopping import EARLY_STOPPING
from searchlab.search.heartbeat import ALIVE_S, RENEWED_S, Heartbeat, Leases, heartbeats, living, swapped
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore
from searchlab.study import RunOptions

STUDY = tiny_study(trials=4)


@pytest.fixture
def on_host(monkeypatch):
    """Does something as another machine would."""

    def do(host, what):
        with monkeypatch.context() as patch:
            patch.setattr(socket, "gethostname", lambda: host)
            return what()

    return do


class Time(Event):
    """Both clocks, which move while it is waited; `then` is called each time. It is a driver's `stop`, too."""

    def __init__(self):
        super().__init__()
        self.now, self.waits, self.then = time.time(), [], lambda: None

    def wait(self, timeout=None):
        self.waits.append(timeout)
        self.now += timeout
        self.then()
        return self.is_set()


@pytest.fixture
def clock(monkeypatch):
    found = Time()
    monkeypatch.setattr(heartbeat.time, "time", lambda: found.now)
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: found.now)
    return found


@pytest.fixture
def url(tmp_path):
    found = f"sqlite:///{tmp_path / 'studies.db'}"
    StudyStore.create(Definition(STUDY, STUDY, ""), open_storage(found, create=True), found)
    return found


@pytest.fixture
def driver(url, clock):
    """A driver on one store, as a process of its own finds it; `said` is what it told of whom it waits for."""

    def make(study=STUDY) -> Driver:
        store, said = StudyStore.load(study.name, open_storage(url, create=False), url), []
        made = Driver(
            Problem(study, tiny_space, IMAGES), store, RunOptions(), "cpu", Seen(), stop=clock, say=said.append
        )
        made.said = said
        return made

    return make


def gone() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_driver_lives_while_its_heartbeat_is_fresh_and_its_process_is_there():
    here, now = socket.gethostname(), time.time()
    assert Heartbeat(here, os.getppid(), now).lives
    assert not Heartbeat(here, gone(), now).lives
    assert not Heartbeat(here, os.getpid(), now).lives, "a process has one driver at a time"
    assert Heartbeat(f"not-{here}", gone(), now - ALIVE_S + 5).lives
    assert not Heartbeat(f"not-{here}", gone(), now - ALIVE_S - 5).lives


def test_a_container_of_the_same_name_is_not_this_machine():
    """Its process numbers are its own: that there is none of that number here says nothing."""
    here, now = socket.gethostname(), time.time()
    assert Heartbeat(here, gone(), now, "another boot, or another name space").lives
    assert not Heartbeat(here, gone(), now, heartbeat.this_kernel()).lives


def test_a_heartbeat_of_an_earlier_version_is_understood():
    assert heartbeats({"driver abc": {"host": "node", "pid": 3, "at": 5.0}, "searchlab": {}}) == {
        "abc": Heartbeat("node", 3, 5.0)
    }


def test_leases_are_renewed_now_and_then_without_a_thread(driver, clock, on_host):
    leases = driver().leases
    on_host("first", leases.renew_if_due)
    (beat,) = living(leases.study.user_attrs).values()
    assert (beat.host, beat.at) == ("first", clock.now)
    clock.now += RENEWED_S - 1
    on_host("first", leases.renew_if_due)
    assert list(living(leases.study.user_attrs).values()) == [beat]
    clock.now += 1
    on_host("first", leases.renew_if_due)
    assert [each.at for each in living(leases.study.user_attrs).values()] == [beat.at + RENEWED_S]


def test_a_trial_of_a_living_driver_is_let_alone_and_its_end_is_taken_in(driver, on_host, clock):
    first, second = driver(), driver()
    taken = [on_host("first", first.ask) for _ in range(2)]
    spec = on_host("second", second.ask)
    assert [each.number for each in (*taken, spec)] == [0, 1, 2]
    on_host("first", lambda: first.tell(made_record(taken[0])))
    assert second.records == []
    last = on_host("second", second.ask)
    assert last.number == 3 and [record.number for record in second.records] == [0]
    assert ("end", 0, "complete") in second.watch.notes and second.history.front == first.history.front
    assert on_host("second", second.ask) is None and second.ended_by == "4 of 4 trials", "what runs elsewhere counts"
    assert clock.waits == [], "while trials of its own run, it does not wait for others"


def test_a_trial_is_taken_over_after_its_driver_sent_no_heartbeat_for_long(driver, on_host, clock, caplog):
    first, second = driver(), driver()
    lost = on_host("first", first.ask)
    assert on_host("second", second.ask).number == 1
    clock.now += ALIVE_S + 1
    again = on_host("second", second.ask)
    assert again == lost
    on_host("second", lambda: second.tell(made_record(again)))
    assert not first.on_rung(0, 1, made_record(lost).frontier), "it is no more the first one's"
    first.on_checkpoint(0, "somewhere")
    first.tell(made_record(lost, "failed"))
    assert [(r.number, r.state) for r in first.store.records()] == [(0, "complete"), (1, "running")]
    assert first.records == [] and "trial 0: result discarded" in caplog.text
    assert "checkpoint" not in first.store.trials()[0].user_attrs


def test_rungs_of_others_count_once_they_ended(driver, on_host):
    first, second = driver(), driver()
    spec = on_host("first", first.ask)
    record = made_record(spec)
    on_host("first", lambda: first.on_rung(spec.number, 1, record.frontier))
    assert on_host("second", second.ask).number == 1 and second.stopper.reports == []
    on_host("first", lambda: first.tell(record))
    on_host("second", second.ask)
    assert second.stopper.reports == first.stopper.reports


def test_a_trial_that_was_asked_for_just_now_is_about_to_be_signed(driver, monkeypatch):
    first, second = driver(), driver()
    first.store.optuna.ask()
    assert second.store.unfinished() == ([], [0])
    monkeypatch.setattr(heartbeat, "UNSIGNED_S", 0.0)
    assert second.store.unfinished() == ([0], [])


# -- the thread


def test_a_driver_that_is_long_at_one_thing_keeps_its_leases(driver, on_host, clock):
    """A measurement, a table, a lock: nothing of it calls the driver."""
    first, second = driver(), driver()
    thrice = Event()

    def wait(over, seconds):
        """The thread's wait: three times at once, then until the driver ends."""
        if clock.now - began >= 3 * RENEWED_S:
            thrice.set()
            return over.wait(30)
        clock.now += seconds
        return False

    began = clock.now

    def works():
        with first.leases.renewed(wait):
            first.ask()
            assert thrice.wait(30)
            clock.now = began + 3 * RENEWED_S + ALIVE_S - 1
            return on_host("second", second.ask)

    assert on_host("first", works).number == 1, "trial 0 is in good hands"


@pytest.mark.slow
def test_a_driver_that_ended_says_so_and_its_trial_is_taken_up_at_once(driver, on_host):
    first, second = driver(), driver()

    def interrupted():
        with first.leases.renewed():
            first.ask()

    on_host("first", interrupted)
    assert on_host("second", second.ask).number == 0


def test_the_heartbeat_outlives_a_store_that_cannot_be_written_for_a_while(driver, caplog, monkeypatch):
    leases, beats, again = driver().leases, [], Event()
    write = leases._write

    def fails_twice(at):
        beats.append(at)
        if len(beats) in (2, 3):
            raise UserError("store-unusable", "cannot use the store: database is locked")
        write(at)
        if len(beats) == 4:
            again.set()

    monkeypatch.setattr(leases, "_write", fails_twice)
    with leases.renewed(lambda over, seconds: again.is_set() and over.wait(30)):
        assert again.wait(30)
    assert caplog.text.count("cannot write a heartbeat: cannot use the store") == 1, "it is said once"


def test_no_heartbeat_comes_after_the_driver_ended(driver):
    leases = driver().leases
    with leases.renewed():
        pass
    (beat,) = heartbeats(leases.study.user_attrs).values()
    assert (beat.at, beat.lives) == (0.0, False)


# -- at the end of a study, beside trials of others


def last_of(driver, on_host):
    """Two drivers; the first is at the last trial, and the second has nothing left to begin."""
    first, second = driver(replace(STUDY, trials=1)), driver(replace(STUDY, trials=1))
    return first, on_host("first", first.ask), second


@pytest.mark.slow
def test_a_driver_on_another_host_does_not_report_the_end_while_a_dead_ones_trial_runs(driver, on_host, clock):
    _, lost, second = last_of(driver, on_host)
    began = clock.now
    spec = on_host("second", second.ask)
    assert spec == lost, "it waited, then took it up"
    assert ALIVE_S <= clock.now - began <= ALIVE_S + 2 * heartbeat.LOOKS_S
    (said,) = second.said
    assert said.startswith(f"waiting for a heartbeat of process {os.getpid()} on first, which runs trial 0; until")
    on_host("second", lambda: second.tell(made_record(spec)))
    assert on_host("second", second.ask) is None and second.ended_by == "1 of 1 trials"


def test_a_driver_ends_after_another_ones_heartbeat_and_names_its_trials(driver, on_host, clock):
    first, _, second = last_of(driver, on_host)
    clock.then = lambda: on_host("first", first.leases.renew_if_due)
    began = clock.now
    assert on_host("second", second.ask) is None
    assert RENEWED_S <= clock.now - began <= RENEWED_S + 2 * heartbeat.LOOKS_S
    assert second.ended_by == f"1 of 1 trials; trial 0 runs elsewhere (process {os.getpid()} on first)"


def test_it_ends_as_the_others_do_once_their_trials_ended(driver, on_host, clock):
    first, spec, second = last_of(driver, on_host)
    clock.then = lambda: first.running and on_host("first", lambda: first.tell(made_record(spec)))
    assert on_host("second", second.ask) is None
    assert second.ended_by == "1 of 1 trials" and [record.number for record in second.records] == [0]


def test_an_interrupt_ends_the_wait(driver, on_host, clock):
    _, _, second = last_of(driver, on_host)
    clock.then = clock.set
    assert on_host("second", second.ask) is None and clock.waits == [heartbeat.LOOKS_S]


# -- a driver that stood still, while another one took its trial


def test_a_suspended_driver_whose_trial_was_taken_over_writes_nothing(driver, on_host, clock):
    first, second = driver(), driver()
    spec = on_host("first", first.ask)
    clock.now += ALIVE_S + 1
    taken = on_host("second", second.ask)
    assert taken.number == spec.number
    on_host("first", first.leases.renew)
    better = made_record(spec, correct=(99,))
    on_host("first", lambda: first.tell(better))
    running = second.store.trials()[0]
    assert running.state == TrialState.RUNNING and "record" not in running.user_attrs
    record = made_record(taken)
    on_host("second", lambda: second.tell(record))
    assert second.store.records() == [record]


def test_a_driver_that_stood_still_between_its_look_and_its_write_overwrites_nothing(
    driver, on_host, clock, monkeypatch
):
    """Whoever writes the state first wins; the other leaves its record out, without a traceback."""
    first, second = driver(), driver()
    spec = on_host("first", first.ask)
    holds = first.leases.holds

    def stands_still(trial):
        held = holds(trial)
        monkeypatch.setattr(first.leases, "holds", holds)
        clock.now += ALIVE_S + 1
        taken = on_host("second", second.ask)
        on_host("second", lambda: second.tell(made_record(taken)))
        return held

    monkeypatch.setattr(first.leases, "holds", stands_still)
    on_host("first", lambda: first.tell(made_record(spec, correct=(99,))))
    assert second.store.records() == [made_record(spec)] and first.records == []


@pytest.mark.parametrize("storage", ["sqlite", "memory"])
def test_of_several_that_take_a_trial_up_at_once_one_gets_it(storage, url, monkeypatch):
    where = open_storage(url, create=False) if storage == "sqlite" else InMemoryStorage()
    store = StudyStore.create(Definition(replace(STUDY, name="other"), STUDY, ""), where, url)
    trial = store.optuna.ask()
    leases = [Leases(store.optuna, store.storage, url) for _ in range(3)]
    assert [each.sign(trial) for each in leases] == [True, False, False]
    # All judge by what they saw before any of them wrote.
    before = leases[0].owner
    assert [swapped(store.storage, trial._trial_id, before, each.owner) for each in leases[1:]] == [True, False]
    assert [each.holds(trial) for each in leases] == [False, True, False]
    store.optuna.tell(trial, state=TrialState.FAIL)
    assert storage == "memory" or not swapped(store.storage, trial._trial_id, leases[1].owner, "late"), "it has ended"


# -- rungs of a trial that is taken up


def test_a_driver_that_takes_a_trial_up_does_not_judge_its_rungs_again(driver, on_host, clock, monkeypatch):
    judged = []

    def rule(shown, objectives):
        judged.append(len(shown))
        return len(judged) == 1

    monkeypatch.setitem(EARLY_STOPPING, "first", rule)
    study = replace(STUDY, early_stopping="first", epochs=4, rungs=(1, 2))
    first, second = driver(study), driver(study)
    spec = on_host("first", first.ask)
    assert on_host("second", second.ask).number == 1, "it began before the other showed anything"
    assert on_host("first", lambda: first.on_rung(0, 1, made_record(spec, correct=(70,)).frontier))
    before = first.store.trials()[0].user_attrs["rung 1"]
    clock.now += ALIVE_S + 1
    assert on_host("second", second.ask) == spec
    worse = made_record(spec, correct=(5,)).frontier
    assert on_host("second", lambda: second.on_rung(0, 1, worse)), "as it was decided"
    assert judged == [1]
    assert second.store.trials()[0].user_attrs["rung 1"] == before
    assert not on_host("second", lambda: second.on_rung(0, 2, worse)) and judged == [1, 1]
