"""Replays searches on the table of `search_table.py`: what each method reaches for the training that it spends.

Nothing is trained here: a trial costs the epochs that it runs, times the MACs of its network, and shows what the table
says of it. The front is that of the validation split; its hypervolume is given as a share of the whole table's. Only
networks trained to the end are on it. Unit of training: that of the table's average network, to its last epoch.

Methods differ in three things: who proposes candidates; whether a trial is one point, its thresholds sampled as
parameters (as users of these tools do), or its whole frontier; and who stops weak trials. `ours` is what `searchlab`
does by default with `--early-stopping moasha`.

The reference point is that of every study: accuracy 0 and boundless latency, where latency c counts as c / (c + 1) in
multiples of the reference network's. It was fixed before anything ran.
"""

import argparse
import json
import multiprocessing
import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from common import Bar, report
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table as Printed
from search_methods import METHODS, OURS, Budgeted, replay
from search_seen import load_seen

SHARES = (0.90, 0.95, 0.99)
RESAMPLES = 2000
FIRST_SEED = 100
"""With lower seeds the settings of ours were chosen."""

COLOURS = ("#1259a8", "#c4622d", "#2e8b57", "#8a3ab9", "#b3261e", "#c79a1b")
FAR = 1e9
"""More training than any budget."""

Steps = list[tuple[float, float]]
"""Training spent and the hypervolume then, after every trial."""


@dataclass(frozen=True)
class Job:
    """One replay: a method, a seed, the file with the table, and the budget in average trainings."""

    method: str
    seed: int
    table: Path
    trainings: float


def run(job: Job) -> tuple[str, int, Steps]:
    """One replay."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    seen = load_seen(job.table)
    return job.method, job.seed, replay(METHODS[job.method], Budgeted(seen, job.trainings), job.seed)


def spent_for(steps: Steps, share: float) -> float:
    """Training until the hypervolume is reached; infinite where it is not."""
    return next((spent for spent, volume in steps if volume >= share), np.inf)


def at(steps: Steps, spent: float) -> float:
    """The hypervolume after so much training."""
    return max((volume for cost, volume in steps if cost <= spent), default=0.0)


def median_ratio(own: NDArray[np.float64], ours: NDArray[np.float64], seed: int = 0) -> tuple[float, float, float]:
    """Median training of a method over that of ours, with its 95 % bootstrap interval over seeds.

    What was not reached counts as `FAR`, so that quotients stay defined.
    """
    rng, own, ours = np.random.default_rng(seed), np.minimum(own, FAR), np.minimum(ours, FAR)
    drawn = [
        np.median(own[rng.integers(len(own), size=len(own))]) / np.median(ours[rng.integers(len(ours), size=len(ours))])
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(np.median(own) / np.median(ours)), float(low), float(high)


def show(curves: Mapping[str, list[Steps]], trainings: float) -> dict[str, object]:
    """Prints the table of ratios; returns the figures."""
    spent = {
        name: {share: np.array([spent_for(steps, share) for steps in found]) for share in SHARES}
        for name, found in curves.items()
    }
    printed = Printed("method", *(f"{share:.0%} of the table's hypervolume" for share in SHARES), "at the end, %")
    figures: dict[str, object] = {}
    for name, found in curves.items():
        cells = []
        for share in SHARES:
            median = float(np.median(spent[name][share]))
            value, low, high = median_ratio(spent[name][share], spent[OURS][share])
            cells.append(_cell(median, value, low, high, trainings))
            figures[f"{name}, training for {share:.0%}"] = None if np.isinf(median) else median
        ends = 100 * np.array([at(steps, trainings) for steps in found])
        printed.add_row(name, *cells, f"{np.mean(ends):.1f} ± {1.96 * np.std(ends, ddof=1) / len(ends) ** 0.5:.1f}")
        figures[f"{name}, at the end"] = float(np.mean(ends))
    console = Console(width=160)
    console.print(printed)
    console.print("median training spent (in average trainings); in brackets as a multiple of ours, 95 % bootstrap")
    return figures


def _cell(median: float, value: float, low: float, high: float, trainings: float) -> str:
    if np.isinf(median):
        return f"not in {trainings:.0f}"
    if value < 1 / FAR**0.5:
        return f"{median:.1f} (ours: not in {trainings:.0f})"
    upper = f"{high:.1f}" if high < FAR**0.5 else "∞"
    return f"{median:.1f} ({value:.1f} [{low:.1f}, {upper}])"


def goal(
    curves: Mapping[str, list[Steps]], trainings: float, others: Sequence[str]
) -> tuple[dict[str, object], float | None]:
    """Where ours reaches what the best of some others has at the end (None: nowhere), and where its mean lies below
    any of them."""
    ends = {name: float(np.mean([at(s, trainings) for s in curves[name]])) for name in others}
    best = max(ends, key=lambda name: ends[name])
    grid = np.linspace(0, trainings, 241)[1:]
    mean = {name: np.array([np.mean([at(s, x) for s in curves[name]]) for x in grid]) for name in (OURS, *others)}
    reached = np.flatnonzero(mean[OURS] >= ends[best])
    share = float(grid[reached[0]] / trainings) if len(reached) else None
    below = {
        name: f"{100 * np.mean(mean[OURS] < mean[name]):.0f} % of the budget, the last time at "
        f"{grid[np.flatnonzero(mean[OURS] < mean[name])[-1]]:.1f}, by at most "
        f"{100 * np.max(mean[name] - mean[OURS]):.1f} points"
        for name in others
        if np.any(mean[OURS] < mean[name])
    }
    return {"best": best, "its end, %": 100 * ends[best], "ours lies below": below}, share


def draw(curves: Mapping[str, list[Steps]], trainings: float, path: Path) -> None:
    """Mean hypervolume against training spent: ours, and the others as their users call them and with our frontier."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    canvas = figure.add_subplot()
    grid, shades = np.linspace(0, trainings, 241), iter(COLOURS * len(curves))
    colours = {name: next(shades) for name in METHODS if not METHODS[name].ours and not METHODS[name].whole}
    for name in [*(name for name in curves if not METHODS[name].ours), OURS]:
        mean = [100 * np.mean([at(steps, x) for steps in curves[name]]) for x in grid]
        bare = name.removesuffix(" + frontier")
        ours = name == OURS
        look: dict[str, Any] = {"color": "black" if ours else colours[bare], "linewidth": 2.6 if ours else 1.3}
        canvas.plot(grid, mean, label=name, linestyle=":" if name == bare and not ours else "-", **look)
    canvas.set(xlabel="training spent, in average trainings", ylabel="hypervolume, % of the whole table's")
    canvas.set(xlim=(0, trainings), ylim=(70, 100.5), title="Searches replayed on 240 trained networks")
    canvas.grid(color="#e8edf1")
    canvas.legend(fontsize=7, loc="lower right", ncols=2)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a run under a minute: 3 seeds, no Gaussian processes")
    parser.add_argument("--table", type=Path, default=Path(__file__).with_name("search_table.parquet"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trainings", type=float, default=40.0, help="the budget, in average trainings")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--methods", nargs="*", help="some of them; ours is always there")
    parser.add_argument("--plot", type=Path, help="draw there: a .svg, .png or .pdf")
    given = parser.parse_args()
    names = [name for name in METHODS if not given.methods or name in (OURS, *given.methods)]
    if given.quick:
        names = [name for name in names if "GP" not in name]
    if find_spec("syne_tune") is None:
        print("Syne Tune is left out: pip install -e '.[benchmarks]'")
        names = [name for name in names if not name.startswith("Syne")]
    seeds = 3 if given.quick else given.seeds
    drawn = range(FIRST_SEED, FIRST_SEED + seeds)
    jobs = [Job(name, seed, given.table, given.trainings) for seed in drawn for name in names]
    curves: dict[str, list[Steps]] = {name: [] for name in names}
    # Processes inherit it: as many threads as cores in each of them would only wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ProcessPoolExecutor(given.processes, multiprocessing.get_context("spawn")) as pool:
        for done, (name, _, steps) in enumerate(pool.map(run, jobs), start=1):
            curves[name].append(steps)
            print(f"\r{done} of {len(jobs)} replays", end="", flush=True)
    print("\r" + " " * 30 + "\r", end="")
    figures = show(curves, given.trainings)
    bars: dict[str, Bar] = {}
    for kind, whole in (("as their users call them", False), ("with our frontier", True)):
        others = [name for name in names if not METHODS[name].ours and METHODS[name].whole is whole]
        if others:
            found, share = goal(curves, given.trainings, others)
            figures[f"others {kind}"] = found
            bars[f"share of the budget for the end of the best other, {kind}"] = (share, 1 / 3, "max")
    if given.plot:
        draw(curves, given.trainings, given.plot)
    meta = pd.read_parquet(given.table).attrs
    print(json.dumps({key: value for key, value in figures.items() if isinstance(value, dict)}, indent=1))
    setting = {"seeds": f"{drawn[0]} to {drawn[-1]}", "trainings": given.trainings, "table": meta.get("machine", "")}
    report("search", setting, bars, more=figures)


if __name__ == "__main__":
    main()
