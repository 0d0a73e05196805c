"""Real processes, killed or interrupted in the middle of a trial. What is waited for is what they print, not time."""

import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import pytest

from searchlab.record import Seconds
from searchlab.search.store import stored_study
from searchlab.study import RunOptions

SCRIPT = "from searchlab.cli.main import script; script()"
RUN = ["run", "little", "--trials", "3", "--epochs", "15", "--threads", "1"]


@contextmanager
def begun(words, trial):
    """A search in a process of its own, in the middle of that trial."""
    command = [sys.executable, "-c", SCRIPT, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if line.startswith(f"trial {trial}: resnet"):
                break
        yield child
        child.kill()


@pytest.fixture
def running(folder):
    """A search in the middle of its second trial."""
    with begun(RUN, 1) as child:
        yield child


def records():
    return stored_study("little", RunOptions()).records()


def assert_whole(searchlab):
    """The study is resumed and has the trials it was asked for, none lost, none twice."""
    before = records()
    assert Counter(record.state for record in before) == {"complete": 1, "interrupted": 1}
    answer = searchlab("resume", "little")
    assert (answer.code, answer.err) == (0, "")
    after = records()
    assert [(record.number, record.state) for record in after] == [(n, "complete") for n in range(3)]
    assert after[0] == before[0]
    assert (after[1].candidate, after[1].seed) == (before[1].candidate, before[1].seed)


@pytest.mark.slow
def test_after_kill_9_a_study_is_resumed_without_loss(running, searchlab):
    running.send_signal(signal.SIGKILL)
    assert running.wait(timeout=30) == -signal.SIGKILL
    assert_whole(searchlab)


def found(name):
    """All that a kill must not change: records but for their seconds, and what was decided at rungs."""
    store = stored_study(name, RunOptions())
    whole = [replace(record, seconds=Seconds(), directory="", output="") for record in store.records()]
    return whole, sorted(store.rung_reports(), key=lambda report: (report.number, report.epoch))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_study_that_was_killed_twice_has_the_records_of_one_that_nobody_killed(folder, searchlab):
    words = ["run", "little", "--trials", "5", "--epochs", "4", "--early-stopping", "moasha", "--threads", "1"]
    assert searchlab(*words, "--name", "whole").code == 0
    for command, trial in ((words, 1), (["resume", "little", "--threads", "1"], 3)):
        with begun(command, trial) as child:
            child.send_signal(signal.SIGKILL)
    assert searchlab("resume", "little", "--threads", "1").code == 0
    assert found("little") == found("whole")


@pytest.mark.slow
def test_ctrl_c_keeps_everything_and_says_how_to_go_on(running, searchlab):
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (130, "")
    assert "Ending after the current step; press Ctrl-C again to end at once." in out
    assert out.splitlines()[-1] == "Stopped. All results are kept. To continue: searchlab resume little"
    assert_whole(searchlab)
