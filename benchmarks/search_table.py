"""Trains the whole of `search_space` on CIFAR-10 and writes down what a search could see: `search_table.parquet`.

One row is one candidate after one epoch: the frontier of its exit table on the validation split (accuracy against
measured latency), and what every vector of `THRESHOLDS` on max softmax gives there, for those who sample thresholds as
parameters. After the last epoch the same rules are read on the test split too, which nothing is chosen by.

Each candidate writes a file of its own to `--parts` first: run the script again and it goes on, run it in several
processes and they share the work (`--processes`). With all there, the table is written beside this script.
"""

import argparse
import json
import multiprocessing
import random
import time
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from common import machine
from search_space import Parameters, candidate_of, everything

from searchlab.artefacts import versions
from searchlab.candidate import Candidate
from searchlab.data.batches import Normaliser
from searchlab.data.datasets import load
from searchlab.data.splits import Dataset, limited
from searchlab.deploy.scores import score_functions
from searchlab.exits.evaluate import evaluate, operating_point, scores_of
from searchlab.exits.frontier import FrontierSettings, exact_frontier
from searchlab.exits.scores import SCORES
from searchlab.exits.table import ExitTable
from searchlab.exits.tabulate import tabulate
from searchlab.measure.isolation import measuring, training_lock
from searchlab.measure.latency import measure_latency
from searchlab.model.cost import network_cost
from searchlab.model.early_exit import EarlyExitNetwork, build
from searchlab.operating_point import ExitRule, OperatingPoint
from searchlab.record import Epoch, LatencyReport, NetworkCost, Profile
from searchlab.train.loop import Hooks
from searchlab.train.procedure import TrainingContext, procedure_of

EPOCHS = 9
IMAGES = 10_000
SEED = 20_261_120
REFERENCE = "resnet8"
TABLE = Path(__file__).with_name("search_table.parquet")

THRESHOLDS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 2.0)
"""Of max softmax, for every exit but the last: 0 lets everybody leave, 2 nobody."""

SETTINGS = FrontierSettings(max_points=40)

LISTS = ("frontier_accuracy", "frontier_latency", "sampled_accuracy", "sampled_latency", "frontier_test_accuracy")
"""Columns that hold a list in every row."""


@dataclass(frozen=True)
class Job:
    """One candidate to train: its place in `everything()`, what it is, and the file that it is written to."""

    number: int
    parameters: Parameters
    data: Path
    path: Path


@dataclass(frozen=True)
class Measured:
    """A candidate's costs, known before it is trained; latencies in milliseconds of a machine on which the reference
    network takes one millisecond: shared machines drift, and that ratio drifts least."""

    cost: NetworkCost
    latency: LatencyReport

    @property
    def profile(self) -> Profile:
        return Profile(self.cost, self.latency.segments)

    def ms(self, point: OperatingPoint) -> float:
        assert point.latency_ms is not None
        return point.latency_ms / self.latency.reference.p50


def rules(exits: int) -> list[ExitRule]:
    """Every vector of thresholds, in C order."""
    return [ExitRule("max_softmax", tuple(range(exits)), vector) for vector in product(THRESHOLDS, repeat=exits - 1)]


def row(table: ExitTable, measured: Measured, epoch: int) -> tuple[dict[str, Any], list[OperatingPoint]]:
    """What is seen after an epoch, and the points of its frontier."""
    points = list(exact_frontier(table, measured.profile, SETTINGS).points)
    score_NK = scores_of(table, "max_softmax")
    sampled = [operating_point(table.correct_NK, score_NK, rule, measured.profile) for rule in rules(table.exits)]
    return {
        "epoch": epoch,
        "frontier_accuracy": [p.accuracy for p in points],
        "frontier_latency": [measured.ms(p) for p in points],
        "sampled_accuracy": [p.accuracy for p in sampled],
        "sampled_latency": [measured.ms(p) for p in sampled],
    }, points


def measure(network: EarlyExitNetwork, candidate: Candidate, dataset: Dataset) -> Measured:
    """Costs of a network that need no training, alone on this machine as far as searchlab is concerned."""
    with measuring():
        latency = measure_latency(network, REFERENCE, dataset.spec, score_functions(tuple(SCORES)), torch.device("cpu"))
    return Measured(network_cost(candidate, dataset.spec), latency)


def train(job: Job, dataset: Dataset) -> list[dict[str, Any]]:
    """The rows of one candidate."""
    candidate, seed = candidate_of(job.parameters), SEED + job.number
    torch.manual_seed(seed)
    network = build(candidate, dataset.spec).to(memory_format=torch.channels_last)
    measured = measure(network, candidate, dataset)
    normaliser = Normaliser.of(dataset, torch.device("cpu"))
    rows: list[dict[str, Any]] = []
    known = {"number": job.number, **job.parameters, "macs": measured.cost.macs, "params": measured.cost.params}

    def on_epoch(epoch: Epoch, judged: EarlyExitNetwork) -> bool:
        seen, points = row(tabulate(judged, dataset.validation, normaliser), measured, epoch.epoch)
        tests: list[float] = []
        if epoch.epoch == EPOCHS:
            table = tabulate(judged, dataset.test, normaliser)
            tests = [evaluate(table, p.rule, measured.profile).accuracy for p in points]
        rows.append({**known, **seen, "frontier_test_accuracy": tests})
        return True

    with training_lock(torch.device("cpu")) as lock:
        procedure_of(candidate)(network, candidate, material(dataset, normaliser, seed, Hooks(lock.breathe, on_epoch)))
    return rows


def material(dataset: Dataset, normaliser: Normaliser, seed: int, hooks: Hooks) -> TrainingContext:
    return TrainingContext(
        train=dataset.train,
        validation=dataset.validation,
        normaliser=normaliser,
        images=dataset.spec,
        epochs=EPOCHS,
        seed=seed,
        bf16=True,
        exit_costs=(),
        scratch=None,
        hooks=hooks,
    )


def images_of(folder: Path) -> Dataset:
    """CIFAR-10 with a fifth of its training images; validation and test whole."""
    whole = load("cifar10", folder)
    return replace(whole, train=limited(whole, IMAGES).train)


def work(jobs: list[Job]) -> None:
    """Trains what no other process has begun: whoever creates a candidate's lock file has it."""
    torch.set_num_threads(1)
    dataset = images_of(jobs[0].data)
    for job in jobs:
        lock = job.path.with_suffix(".begun")
        if job.path.exists():
            continue
        try:
            lock.touch(exist_ok=False)
        except FileExistsError:
            continue
        begun = time.perf_counter()
        frame = pd.DataFrame(train(job, dataset))
        frame.to_parquet(job.path)
        left = sum(not other.path.exists() for other in jobs)
        print(f"candidate {job.number}: {time.perf_counter() - begun:.0f} s, {left} left", flush=True)


def write(jobs: list[Job]) -> None:
    """The table, with how it was made in its metadata."""
    frame = pd.concat([pd.read_parquet(job.path) for job in jobs], ignore_index=True)
    for column in LISTS:
        frame[column] = frame[column].map(lambda values: values.astype("float32"))
    frame.attrs = {
        "script": "benchmarks/search_table.py",
        "seed": SEED,
        "epochs": EPOCHS,
        "images": IMAGES,
        "thresholds": list(THRESHOLDS),
        "reference": REFERENCE,
        "machine": machine(),
        "versions": dict(versions()),
    }
    frame.to_parquet(TABLE, compression="zstd")
    print(f"{TABLE.name}: {len(jobs)} candidates, {len(frame):,} rows, {TABLE.stat().st_size / 1e6:.1f} MB")
    print(json.dumps(frame.attrs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with CIFAR-10")
    parser.add_argument("--parts", type=Path, default=Path("search_table_parts"), help="folder for what is done so far")
    parser.add_argument("--processes", type=int, default=1, help="candidates trained at once, each on one core")
    given = parser.parse_args()
    given.parts.mkdir(parents=True, exist_ok=True)
    jobs = [Job(i, p, given.data, given.parts / f"{i:03d}.parquet") for i, p in everything()]
    for stale in given.parts.glob("*.begun"):
        stale.unlink()
    shuffled = random.Random(SEED).sample(jobs, len(jobs))
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(shuffled,)) for _ in range(given.processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if all(job.path.exists() for job in jobs):
        write(jobs)


if __name__ == "__main__":
    main()
