"""Compares the records of a study that is killed repeatedly with those of the same study without kills.

The digits study, accuracy against MACs, with early stopping. So all of a record must be equal to the last bit, but for
its seconds and its output folder. The whole process group gets SIGKILL at a random moment, then `searchlab resume` goes
on, until so many kills have hit a process at work; the last one runs to the end. Ten times with `--runner local`, five
times with `--runner tune`, there with one trial at a time: several would end in another order in every run, and the
sampler would go another way.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common import Bar, report

from searchlab.errors import UserError
from searchlab.record import Seconds
from searchlab.search.store import StudyStore, stored_study
from searchlab.study import RunOptions

NAME = "kills"
ENDED = {"COMPLETE", "PRUNED", "FAIL"}
LINES_A_TRIAL = 2
"""One when it begins, one when it ends."""

RUNNERS = {"local": [], "tune": ["--concurrent", "1"]}


@dataclass(frozen=True)
class Bench:
    """The study, and the folders of the runs of one runner."""

    study: list[str]
    runner: str
    folder: Path

    def command(self, verb: str, output: Path) -> list[str]:
        """Returns the command line of `run` or `resume`."""
        study = ["digits", "--name", NAME, *self.study] if verb == "run" else [NAME]
        where = ["--output", str(output), "--threads", "1", "--device", "cpu"]
        ours = [str(Path(sys.executable).with_name("searchlab")), verb, *study, *where]
        return [*ours, "--runner", self.runner, *RUNNERS[self.runner]]

    def begun(self, verb: str, output: Path) -> "subprocess.Popen[str]":
        """A process in a group of its own, once it has said its first line: from then on it is at work."""
        command = self.command(verb, output)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    def to_the_end(self, verb: str, output: Path) -> float:
        """Runs what is left; the seconds that it was at work."""
        process = self.begun(verb, output)
        begin = time.monotonic()
        out, _ = process.communicate()
        if process.returncode:
            sys.exit(f"{' '.join(self.command(verb, output))} ended with {process.returncode}:\n{out}")
        return time.monotonic() - begin


def killed_at(process: "subprocess.Popen[str]", lines: int, after_s: float) -> bool:
    """Kills the whole group, so many seconds after so many lines on trials; False where it ended before."""
    assert process.stdout is not None
    while lines and (line := process.stdout.readline()):
        lines -= line.startswith("trial ")
    try:
        process.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    return False


def killed(bench: Bench, kills: int, trials: int, at_work_s: float, chance: random.Random) -> dict[str, int]:
    """Runs the study, killed so many times; where the kills fell.

    A trial says two lines. Between two of them a process is killed at any moment, however busy the machine is. On
    average it gets as far as the trials that are left allow for the kills that are left.
    """
    output, left = bench.folder / "killed", trials
    found = {"kills": 0, "kills before the first trial ended": 0, "kills in a trial": 0}
    while found["kills"] < kills:
        process = bench.begun("resume" if stored(output) else "run", output)
        most = round(2 * LINES_A_TRIAL * left / (kills - found["kills"] + 1))
        lines = chance.randint(0, min(most, LINES_A_TRIAL * (left - 1)))
        if not killed_at(process, lines, chance.uniform(0.0, at_work_s / trials)):
            # It ended before the kill.
            return found
        store = stored(output)
        states = [trial.state.name for trial in store.trials()] if store else []
        left = trials - sum(state in ENDED for state in states)
        found["kills"] += 1
        found["kills in a trial"] += "RUNNING" in states
        found["kills before the first trial ended"] += not ENDED & set(states)
        print(f"{bench.runner}: kill {found['kills']} of {kills}, trials {states}", file=sys.stderr, flush=True)
    bench.to_the_end("resume" if stored(output) else "run", output)
    return found


def stored(output: Path) -> StudyStore | None:
    """Opens the stored study; None if the process was killed before it was stored."""
    try:
        return stored_study(NAME, RunOptions(output=output))
    except UserError:
        return None


def trials_of(output: Path) -> list[dict[str, Any]]:
    """All that must be equal of every trial: its record, what Optuna was told, and what was decided at rungs."""
    store = stored(output)
    assert store is not None
    records = {record.number: replace(record, seconds=Seconds(), directory="", output="") for record in store.records()}
    rungs = store.rung_reports()
    return [
        {
            "record": records.get(trial.number),
            "told": (trial.state.name, trial.values, trial.params, trial.constraints),
            "rungs": [rung for rung in rungs if rung.number == trial.number],
        }
        for trial in store.trials()
    ]


def compared(bench: Bench, kills: int, seed: int) -> tuple[dict[str, Any], dict[str, Bar]]:
    """Figures and bars of one runner."""
    name = bench.runner
    at_work_s = bench.to_the_end("run", bench.folder / "whole")
    whole = trials_of(bench.folder / "whole")
    found = killed(bench, kills, len(whole), at_work_s, random.Random(seed))
    again = trials_of(bench.folder / "killed")
    states = [trial["record"].state if trial["record"] else "repeated" for trial in whole]
    differing = [number for number, both in enumerate(zip(whole, again, strict=False)) if both[0] != both[1]]
    figures: dict[str, Any] = {f"{name}, {key}": value for key, value in found.items()}
    figures |= {f"{name}, trials": len(whole), f"{name}, stopped at a rung": states.count("stopped")}
    figures |= {f"{name}, s at work, not killed": at_work_s}
    return figures, {
        f"{name}, kills": (found["kills"], kills, "min"),
        f"{name}, trials more or fewer": (abs(len(whole) - len(again)), 0, "max"),
        f"{name}, trials that differ": (len(differing), 0, "max"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two kills of a small study, with --runner local alone")
    parser.add_argument("--data", type=Path, default=Path("data"), help="not read: the digits are built in")
    parser.add_argument("--seed", type=int, default=0, help="of the moments at which it is killed")
    given = parser.parse_args()
    trials, epochs, kills = ("6", "3", {"local": 2}) if given.quick else ("14", "6", {"local": 10, "tune": 5})
    study = ["--objectives", "accuracy,macs", "--early-stopping", "moasha", "--trials", trials, "--epochs", epochs]
    figures: dict[str, Any] = {}
    bars: dict[str, Bar] = {}
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        for runner, times in kills.items():
            bench = Bench(study, runner, Path(folder) / runner)
            more, checked = compared(bench, times, given.seed)
            figures, bars = figures | more, bars | checked
    report("kills", figures, bars)


if __name__ == "__main__":
    main()
