"""Several drivers on one study: who began what, and what becomes of it where its driver is gone."""

import os
import socket
import subprocess
import sys
import time

import pytest
from tiny import IMAGES, Seen, made_record, tiny_space, tiny_study

from searchlab.search import claims
from searchlab.search.claims import ALIVE_S, RENEWED_S, Claim, Sign, living
from searchlab.search.driver import Driver, Problem
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


@pytest.fixture
def driver(tmp_path):
    """A driver on one store, as a process of its own finds it."""
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    StudyStore.create(Definition(STUDY, STUDY, ""), open_storage(url, create=True), url)

    def make() -> Driver:
        store = StudyStore.load(STUDY.name, open_storage(url, create=False), url)
        return Driver(Problem(STUDY, tiny_space, IMAGES), store, RunOptions(), "cpu", Seen())

    return make


def gone() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_driver_lives_while_its_sign_is_fresh_and_its_process_is_there():
    here, now = socket.gethostname(), time.time()
    assert Sign(here, os.getppid(), now).lives
    assert not Sign(here, gone(), now).lives
    assert not Sign(here, os.getpid(), now).lives, "a process has one driver at a time"
    assert Sign(f"not-{here}", gone(), now - ALIVE_S + 5).lives
    assert not Sign(f"not-{here}", gone(), now - ALIVE_S - 5).lives


def test_signs_are_renewed_now_and_then(monkeypatch):
    claim, clock = Claim(), [time.monotonic()]
    monkeypatch.setattr(claims.time, "monotonic", lambda: clock[0])
    assert living(claim.due() | {"another attribute": 1}) == set()
    assert claim.due() == {}
    clock[0] += RENEWED_S
    (value,) = claim.due().values()
    assert living({f"driver {claim.owner}": value | {"pid": os.getppid()}}) == {claim.owner}


def test_a_trial_of_a_living_driver_is_let_alone_and_its_end_is_taken_in(driver, on_host):
    first, second = driver(), driver()
    taken = [on_host("first", first.ask) for _ in range(2)]
    spec = on_host("second", second.ask)
    assert [each.number for each in (*taken, spec)] == [0, 1, 2]
    on_host("first", lambda: first.tell(made_record(taken[0])))
    assert second.records == []
    last = on_host("second", second.ask)
    assert last.number == 3 and [record.number for record in second.records] == [0]
    assert ("end", 0, "complete") in second.watch.notes and second.front == first.front
    assert on_host("second", second.ask) is None and second.ended_by == "4 of 4 trials", "what runs elsewhere counts"


def test_what_a_driver_began_is_taken_up_once_it_is_silent_for_long(driver, on_host, monkeypatch, caplog):
    first, second = driver(), driver()
    lost = on_host("first", first.ask)
    assert on_host("second", second.ask).number == 1
    later = time.time() + ALIVE_S + 1
    monkeypatch.setattr(claims.time, "time", lambda: later)
    again = on_host("second", second.ask)
    assert again == lost
    on_host("second", lambda: second.tell(made_record(again)))
    assert not first.on_rung(0, 1, made_record(lost).frontier), "it is no more the first one's"
    first.on_checkpoint(0, "somewhere")
    first.tell(made_record(lost, "failed"))
    assert [(r.number, r.state) for r in first.store.records() if r.state != "interrupted"] == [(0, "complete")]
    assert first.records == [] and "trial 0: left out" in caplog.text
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
    monkeypatch.setattr(claims, "UNSIGNED_S", 0.0)
    assert second.store.unfinished() == ([0], [])
