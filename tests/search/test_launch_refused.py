"""A launch beside another process, or whose runner refuses: what is left and who may go on."""

import fcntl
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from launches import begun, launch_of
from raises import raises_code
from tiny import tiny_study

from searchlab.errors import Interrupted, UserError
from searchlab.search import driver_lock
from searchlab.search.driver_lock import only_driver
from searchlab.search.launch import RUNNERS, resume, start, start_afresh
from searchlab.search.storage import open_storage
from searchlab.search.store import stored_study

pytestmark = pytest.mark.usefixtures("nothing_is_trained")


def test_a_study_that_another_process_runs_is_refused_by_its_id(options):
    store = begun(options, tiny_study(trials=1))
    held = os.open(options.output / "tiny" / "driver.lock", os.O_RDWR)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        for again in (lambda launch: start(launch), lambda launch: resume(launch, store)):
            with raises_code("study-running", where="study tiny", mentions=f"process {os.getpid()} "):
                again(launch_of(tiny_study(trials=2), options))
    finally:
        os.close(held)
    assert [record.number for record in store.records()] == [0]


HOLDER = """
import fcntl, os, sys
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(handle, fcntl.LOCK_EX)
os.truncate(handle, 0)
os.write(handle, f"{os.getpid()}\\n".encode())
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_process_that_was_killed_lets_go(options):
    folder = options.output / "tiny"
    folder.mkdir(parents=True)
    command = [sys.executable, "-c", HOLDER, str(folder / "driver.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with raises_code("study-running", where="study tiny", mentions=f"process {other.pid} "):
            start(launch_of(tiny_study(trials=1), options))
        other.kill()
    assert len(start(launch_of(tiny_study(trials=1), options)).records) == 1


def test_a_run_that_is_refused_leaves_no_folder(options, monkeypatch):
    def refusing(source, dataset):
        raise UserError("cluster-not-found", "the cluster cannot be reached")

    with monkeypatch.context() as earlier:
        earlier.setitem(RUNNERS, "made up", refusing)
        with raises_code("cluster-not-found"):
            start(launch_of(tiny_study(), options))
    assert not (options.output / "tiny").exists()
    start(launch_of(tiny_study(), options))


def test_only_the_lock_of_the_path_counts(options):
    """A process that deleted the folder, and one that made it anew, do not share a lock with a third that waited."""
    folder = options.output / "tiny"
    folder.mkdir(parents=True)
    (folder / "other").touch()
    with only_driver("tiny", options):
        held = os.open(folder / "driver.lock", os.O_RDWR)
    (folder / "driver.lock").unlink()
    (folder / "driver.lock").touch()
    try:
        assert not driver_lock._is_at(held, folder / "driver.lock")
    finally:
        os.close(held)


def test_the_lock_is_let_go_however_a_study_ends(options, monkeypatch):
    def interrupted(source, dataset):
        source.ask()
        raise Interrupted

    with monkeypatch.context() as earlier:
        earlier.setitem(RUNNERS, "made up", interrupted)
        with pytest.raises(Interrupted):
            start(launch_of(tiny_study(trials=2), options))
    driver = resume(launch_of(tiny_study(trials=2), options), stored_study("tiny", options))
    assert [record.number for record in driver.records] == [0, 1]


def test_a_runner_that_nobody_knows(options):
    with raises_code("unknown-runner", where="--runner", value="spark", mentions="known: local, made up, tune"):
        start(replace(launch_of(tiny_study(), options), runner="spark"))


def test_what_never_began_can_be_given_again(options, monkeypatch):
    launch = launch_of(tiny_study(trials=1), options)

    def unreachable(source, dataset):
        raise UserError("cluster-not-found", "no Ray cluster there", where="--address")

    monkeypatch.setitem(RUNNERS, "unreachable", unreachable)
    with raises_code("cluster-not-found", where="--address"):
        start(replace(launch, runner="unreachable"))
    assert len(start(launch).records) == 1


@pytest.mark.slow
def test_a_run_that_a_runner_refuses_leaves_nothing_and_prints_no_heading(options, monkeypatch, tmp_path):
    said: list[str] = []
    apart = replace(options, storage=f"sqlite:///{tmp_path}/deep/down/x.db")

    def unreachable(source, dataset):
        raise UserError("cluster-not-found", "no Ray cluster there", where="--address")

    monkeypatch.setitem(RUNNERS, "unreachable", unreachable)
    for where in (options, apart):
        launch = replace(launch_of(tiny_study(trials=1), where, say=said.append), runner="unreachable")
        for begin in (start, start_afresh):
            with raises_code("cluster-not-found"):
                begin(launch)
        assert (launch.watch.notes, said) == ([], [])
    assert not [*tmp_path.iterdir()]
    start(launch_of(tiny_study(trials=1), apart, say=said.append))
    assert said[0].startswith("data: ")


def test_a_new_store_that_another_process_uses_stays_when_a_run_is_refused(options, monkeypatch):
    opened = []

    def unreachable(source, dataset):
        other = open_storage(options.storage_url, create=False)
        opened.append(other)
        other.get_all_studies()
        raise UserError("cluster-not-found", "no Ray cluster there", where="--address")

    monkeypatch.setitem(RUNNERS, "unreachable", unreachable)
    with raises_code("cluster-not-found"):
        start(replace(launch_of(tiny_study(trials=1), options), runner="unreachable"))
    assert (options.output / "studies.db").is_file() and opened[0].get_all_studies() == []


@pytest.mark.slow
def test_what_had_begun_is_kept_when_a_runner_gives_up(options, monkeypatch):
    launch = launch_of(tiny_study(trials=2), options)

    def gives_up(source, dataset):
        source.ask()
        raise UserError("cannot-write", "the disk is full")

    monkeypatch.setitem(RUNNERS, "gives up", gives_up)
    with raises_code("cannot-write"):
        start(replace(launch, runner="gives up"))
    assert [record.state for record in stored_study("tiny", options).records()] == ["interrupted"]
