"""One study with and without early stopping, for the same budget of epochs: networks tried, and the fronts' volumes.

Both are run by the command line, as a user would, at the same time and with one thread each (they wait for one another
where they measure). Then `searchlab front --test` measures both fronts again and reads the test split. The unit of
hypervolume is the same for both: latency as a multiple r of the reference network's counts as r / (r + 1), accuracy as
it is, the reference point is accuracy 0 and boundless latency.

A folder that holds a run already is taken as it is, so that a figure can be printed again without training again.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from common import Bar, report

from searchlab.front.pareto import Values, hypervolume

RULES = ("moasha", "none")
POINTS = 100
"""More points than any front has."""

REFERENCE_POINT = np.array([0.0, 1.0])
COLUMNS = {"validation": "accuracy", "test": "test_accuracy"}


def command(*words: str) -> list[str]:
    """The command line of this environment."""
    return [str(Path(sys.executable).with_name("searchlab")), *words]


def data_of(given: argparse.Namespace) -> list[str]:
    """The option that says where the data sets are; the digits of `--quick` come with searchlab."""
    return [] if given.quick else ["--data", str(given.data)]


def run_all(given: argparse.Namespace) -> None:
    """Starts the runs that are not there yet, waits for them; exits where one failed."""
    shared = [*data_of(given), "--seed", str(given.seed), "--threads", "1"]
    budget = ["--epochs", str(given.epochs), "--epochs-total", str(given.epochs_total)]
    running = []
    for rule in RULES:
        output = given.output / rule
        if not output.exists():
            output.mkdir(parents=True)
            words = ["run", given.study, "--early-stopping", rule, "--output", str(output), *shared, *budget]
            with (output / "log.txt").open("w") as log:
                running.append(subprocess.Popen(command(*words), stdout=log, stderr=subprocess.STDOUT))
    codes = [process.wait() for process in running]
    if any(codes):
        sys.exit(f"a run failed: see log.txt under {given.output}")


def asked(*words: str) -> str:
    """What a command prints; it exits where the command fails."""
    return subprocess.run(command(*words), check=True, stdout=subprocess.PIPE, text=True).stdout


def volume(front: pd.DataFrame, column: str) -> float:
    """Hypervolume of a front whose accuracies are in that column."""
    times = front["times_reference"].to_numpy(dtype=np.float64)
    values_PM: Values = np.column_stack([-front[column].to_numpy(dtype=np.float64), times / (times + 1)])
    return hypervolume(values_PM, REFERENCE_POINT)


def figures_of(rule: str, given: argparse.Namespace) -> dict[str, float]:
    """Of one run: what was tried, and the volumes of its final front."""
    output = str(given.output / rule)
    trials = json.loads(asked("trials", given.study, "--json", "--output", output))["trials"]
    trained = [trial for trial in trials if trial["state"] in ("complete", "stopped")]
    csv = given.output / rule / "front.csv"
    looked = ["--test", "--points", str(POINTS), "--csv", str(csv), *data_of(given)]
    asked("front", given.study, "--output", output, *looked)
    front = pd.read_csv(csv)
    return {
        "networks tried": len(trained),
        "trained to the end": sum(trial["state"] == "complete" for trial in trained),
        "epochs": sum(trial["epochs"] for trial in trained),
        "points": len(front),
        **{f"hypervolume, {split}": volume(front, column) for split, column in COLUMNS.items()},
        "best test accuracy": float(front["test_accuracy"].max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the digits study, for a minute or two")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with the data sets")
    parser.add_argument("--study", default="cifar10_small")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=9, help="of one network")
    parser.add_argument("--epochs-total", type=int, default=54)
    parser.add_argument("--output", type=Path, help="keep the runs there, or take those that are there")
    given = parser.parse_args()
    if given.quick:
        given.study, given.epochs_total = "digits", 45
    given.output = given.output or Path(tempfile.mkdtemp(prefix="stopping-"))
    run_all(given)
    found = {rule: figures_of(rule, given) for rule in RULES}
    ours, none = (found[rule] for rule in RULES)
    bars: dict[str, Bar] = {"networks tried, more": (ours["networks tried"] - none["networks tried"], 1, "min")}
    for split in COLUMNS:
        name = f"hypervolume, {split}"
        bars[f"{name}, more"] = (ours[name] - none[name], 0, "min")
    flat = {f"{rule}, {name}": value for rule in RULES for name, value in found[rule].items()}
    report("stopping", {"study": given.study, "seed": given.seed, **flat}, bars)


if __name__ == "__main__":
    main()
