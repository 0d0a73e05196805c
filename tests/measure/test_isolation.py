"""Real processes on a lock of their own (another folder for temporary files); order is read from one shared journal."""

import os
import signal
import subprocess
import sys
import tempfile
import threading

import pytest
import torch

from searchlab.errors import Interrupted
from searchlab.measure.isolation import SAY_AFTER_S, SAY_EVERY_S, Waiting, measuring, training_lock, who_holds
from searchlab.measure.lock_holders import Holder, holders

CPU = torch.device("cpu")

MEASURER = """
import os, sys, torch
from searchlab.measure.isolation import measuring
journal = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
sys.stdin.readline()
with measuring():
    os.write(journal, b"measuring\\n")
    print("measuring", flush=True)
    sys.stdin.readline()
    os.write(journal, b"measured\\n")
"""

TRAINER = """
import os, sys, torch
from searchlab.measure.isolation import training_lock
journal = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
with training_lock(torch.device("cpu")):
    os.write(journal, b"training\\n")
    print("training", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield
    tempfile.tempdir = None


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "journal"
    path.touch()
    return path


@pytest.fixture
def start(journal):
    children = []

    def run(program):
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(journal)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        children.append(child)
        return child

    yield run
    for child in children:
        child.kill()
        child.communicate()


def write(journal, line):
    with journal.open("a") as file:
        file.write(line + "\n")


def say(child, line):
    child.stdin.write(line + "\n")
    child.stdin.flush()


@pytest.mark.slow
def test_a_measurement_runs_between_two_steps_of_a_training(start, journal):
    child = start(MEASURER)
    with training_lock(CPU, every_s=0) as lock:
        say(child, "measure")
        # The child ends its measurement when told; that it is told shows that the training waits for it meanwhile.
        answered = threading.Thread(target=lambda: (child.stdout.readline(), child.communicate("end\n")))
        answered.start()
        while answered.is_alive():
            write(journal, "step begins")
            write(journal, "step ends")
            lock.breathe()
    lines = journal.read_text().split("\n")
    begin = lines.index("measuring")
    assert (lines[begin - 1], lines[begin + 1]) == ("step ends", "measured")


@pytest.mark.slow
def test_trainings_share_and_a_measurement_waits_for_all(start, journal):
    child = start(TRAINER)
    assert child.stdout.readline() == "training\n"
    with training_lock(CPU):
        write(journal, "training too")
    measured = threading.Event()

    def measure():
        with measuring():
            write(journal, "measuring")
        measured.set()

    thread = threading.Thread(target=measure)
    thread.start()
    write(journal, "child goes on")
    child.communicate("go on\n")
    thread.join()
    assert measured.is_set()
    lines = journal.read_text().split()
    assert lines == ["training", "training", "too", "child", "goes", "on", "measuring"]


def test_measurements_exclude_each_other(journal):
    def measure():
        with measuring():
            write(journal, "in")
            write(journal, "out")

    threads = [threading.Thread(target=measure) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.read_text().split() == ["in", "out"] * 8


def test_a_waiting_measurement_is_not_starved_by_trainings_that_overlap():
    stop, trained, inside = threading.Event(), [threading.Event() for _ in range(3)], threading.Event()

    def train(index):
        with training_lock(CPU, every_s=0) as lock:
            while not stop.is_set():
                trained[index].set()
                lock.breathe()

    threads = [threading.Thread(target=train, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for event in trained:
        event.wait()
    with measuring():
        inside.set()
    stop.set()
    for thread in threads:
        thread.join()
    assert inside.is_set()


@pytest.mark.slow
@pytest.mark.parametrize(("program", "ready"), [(MEASURER, "measuring"), (TRAINER, "training")])
def test_a_killed_process_leaves_no_lock_behind(start, program, ready):
    child = start(program)
    if program is MEASURER:
        say(child, "measure")
    while child.stdout.readline().strip() != ready:
        pass
    child.kill()
    child.wait()
    with measuring():
        pass
    with training_lock(CPU):
        pass


def test_an_error_lets_go():
    for lock in (lambda: training_lock(CPU), measuring):
        with pytest.raises(RuntimeError), lock():
            raise RuntimeError
    with measuring():
        pass


def test_breathing_between_two_looks_makes_no_system_call(monkeypatch):
    with training_lock(CPU, every_s=3600) as lock, monkeypatch.context() as patch:
        patch.setattr("searchlab.measure.isolation.fcntl.flock", lambda *_: pytest.fail("flock was called"))
        for _ in range(1000):
            lock.breathe()


def test_one_lock_a_user_for_every_device(tmp_path):
    with measuring():
        names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"searchlab-{os.getuid()}.{file}" for file in ("gate", "lock", "holders")}


def test_a_forked_child_that_lives_on_does_not_keep_the_lock():
    with training_lock(CPU) as lock:
        kept = [os.dup(file) for file in (lock._files._gate, lock._files._lock)]
    with measuring():
        pass
    for file in kept:
        os.close(file)


class Impatient:
    """A wait on a clock of its own, which moves when it sleeps; `after` so many words it does `then`."""

    def __init__(self, after, then):
        self.now_s, self.after, self.then, self.said = 0.0, after, then, []
        self.waiting = Waiting(self.say, sleep=self.sleep, clock=lambda: self.now_s)

    def say(self, text):
        self.said.append((self.now_s, text))
        if len(self.said) == self.after:
            self.then()

    def sleep(self, seconds):
        self.now_s += 1.0


def folder_of(tmp_path):
    return tmp_path / f"searchlab-{os.getuid()}.holders"


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="states of processes are read from /proc")
@pytest.mark.parametrize("lock", [measuring, lambda waiting: training_lock(CPU, waiting=waiting)])
def test_whoever_waits_says_who_holds_the_lock_in_which_state_and_for_how_long(start, tmp_path, lock):
    child = start(MEASURER)
    say(child, "measure")
    assert child.stdout.readline() == "measuring\n"
    child.send_signal(signal.SIGSTOP)
    os.waitpid(child.pid, os.WUNTRACED)

    def end():
        child.kill()
        child.wait()

    wait = Impatient(2, end)
    with lock(wait.waiting):
        assert [holder.pid for holder in holders(folder_of(tmp_path))] == [os.getpid()]
    (first_s, first), (second_s, _), (_, last) = wait.said
    assert SAY_AFTER_S <= first_s <= SAY_AFTER_S + 2 and second_s - first_s == pytest.approx(SAY_EVERY_S, abs=2)
    assert f"process {child.pid} (-c {tmp_path}" in first and "measuring for 0 s" in first
    assert f"stopped (Ctrl-Z): `kill -CONT {child.pid}` continues it" in first
    assert "continues after a wait of" in last
    assert holders(folder_of(tmp_path)) == []


@pytest.mark.slow
@pytest.mark.parametrize("lock", [measuring, lambda waiting: training_lock(CPU, waiting=waiting)])
def test_a_wait_for_the_lock_ends_when_it_is_interrupted_and_holds_nobody_back(start, lock):
    child = start(MEASURER)
    say(child, "measure")
    assert child.stdout.readline() == "measuring\n"
    wait = Impatient(1, lambda: None)
    stopping = Waiting(wait.say, lambda: bool(wait.said), wait.sleep, lambda: wait.now_s)
    with pytest.raises(Interrupted), lock(stopping):
        pytest.fail("it holds the lock")
    child.communicate("end\n")
    with measuring():
        pass


def test_nothing_is_said_where_nobody_is_in_the_way():
    with training_lock(CPU, waiting=Waiting(pytest.fail, lambda: True)) as lock:
        lock.breathe()
    with measuring(Waiting(pytest.fail, lambda: True)):
        pass


@pytest.mark.slow
def test_notes_of_the_dead_and_damaged_ones_are_left_out(start, tmp_path):
    child = start(TRAINER)
    assert child.stdout.readline() == "training\n"
    assert [(found.pid, found.doing) for found in holders(folder_of(tmp_path))] == [(child.pid, "training")]
    child.kill()
    child.wait()
    (folder_of(tmp_path) / "12-3").write_text("no note")
    (folder_of(tmp_path) / "a folder").mkdir()
    assert holders(folder_of(tmp_path)) == [] and who_holds() == "an unknown process"
    assert [path.name for path in folder_of(tmp_path).iterdir()] == ["a folder"]


def test_where_no_note_can_be_written_the_lock_works_all_the_same(tmp_path):
    folder_of(tmp_path).write_text("another's file")
    with training_lock(CPU, every_s=0) as lock:
        lock.breathe()
        assert who_holds() == "an unknown process"


def test_a_holder_in_words():
    assert Holder(2**22 + 1, "searchlab run", "training", 1000.0).words(1063.0) == (
        "process 4194305 (searchlab run), training for 63 s"
    )


def test_a_pause_is_as_long_as_it_was_asked_for_and_ends_when_it_is_interrupted():
    wait = Impatient(1, lambda: None)
    wait.waiting.pause(7.0)
    assert wait.now_s == 7.0
    with pytest.raises(Interrupted):
        Waiting(interrupted=lambda: True, sleep=pytest.fail).pause(7.0)
