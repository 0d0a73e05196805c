"""What a search on Ray costs beside training and measuring, what a second worker gains, whether latency stays clean.

Four parts, `--part NAME` for one of them:

overhead: 40 trials of the digits space (one epoch, accuracy against MACs) on a local Ray with two workers. The overhead
    of a trial is the time of both workers less what its record says went into training and measuring, once both have
    told their first: everything that the driver, Ray, Tune and the frontier search take.
speedup: 16 trials of one core each, the same ones, one at a time and two at a time, from when the first is told.
latency: the reference measured on a quiet node, beside a training that holds the lock, and beside one that does not.
saturation: trials that sleep and come back with a recorded curve, on a Ray of 64 logical CPUs, so many trials in the
    store already: trials per second, the driver's share of a core, and the time of a suggestion.
"""

import argparse
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import optuna
import ray
import torch
from common import Bar, report
from optuna.storages import InMemoryStorage
from overhead import made_up

from searchlab.architecture import ImageSpec
from searchlab.candidate import Candidate
from searchlab.data.datasets import load
from searchlab.data.splits import Dataset
from searchlab.deploy.scores import score_functions
from searchlab.errors import Interrupted
from searchlab.front.history import SearchHistory
from searchlab.measure import isolation
from searchlab.measure.isolation import measuring
from searchlab.measure.latency import LatencyOptions, measure_latency
from searchlab.measure.references import REFERENCES, reference_network
from searchlab.model.cost import network_cost
from searchlab.objective import accuracy, macs
from searchlab.record import Epoch, TrialRecord
from searchlab.runners.cluster import OWN_RAY, TUNE
from searchlab.runners.local import run_local
from searchlab.runners.tune.run import run_on_tune
from searchlab.runners.tune.stepped_trial import Work
from searchlab.search.catalog import find, load_space, load_studies
from searchlab.search.definition import Definition
from searchlab.search.driver import Driver, Problem
from searchlab.search.storage import open_storage
from searchlab.search.store import StudyStore
from searchlab.study import Cluster, RunOptions, Study, TrialSpec
from searchlab.trial import run_trial
from searchlab.trial_hooks import TrialHooks

WORKERS = 24
"""Number of workers on the 64 logical CPUs: each imports torch, almost half a GB, so 40 do not fit into 24 GiB. Their
trials are shorter, so that as many could end per second."""

Figures = dict[str, Any]
Bars = dict[str, Bar]
DIGITS = ImageSpec(1, 8, 8, 10)


class Clock:
    """Observer that records when trials were told."""

    def __init__(self) -> None:
        self.told: list[tuple[float, TrialRecord]] = []

    def on_begin(self, history: SearchHistory) -> None:
        pass

    def on_start(self, spec: TrialSpec) -> None:
        pass

    def on_epoch(self, number: int, epoch: Epoch) -> None:
        pass

    def on_phase(self, number: int | None, phase: str) -> None:
        pass

    def on_word(self, number: int, text: str) -> None:
        pass

    def on_end(self, record: TrialRecord) -> None:
        self.told.append((time.perf_counter(), record))


class Bench:
    """The digits study, run on Ray in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        source = find("study", "digits")
        written = replace(load_studies(source)[0], objectives=(accuracy, macs), min_accuracy=0.0, sampler="random")
        found = find("space", written.space_name)
        self.folder, self.study, self.space_text = folder, written, found.text
        self.space, self.dataset = load_space(found), load("digits", folder)

    def store(self, study: Study, *, memory: bool = False) -> StudyStore:
        url = f"sqlite:///{self.folder}/{study.name}.db"
        storage = InMemoryStorage() if memory else open_storage(url, create=True)
        return StudyStore.create(Definition(study, study, self.space_text), storage, url)

    def driver(self, study: Study, store: StudyStore, clock: Clock, **cluster: Any) -> Driver:
        options = RunOptions(output=self.folder / study.name, device="cpu", threads=1, cluster=Cluster(**cluster))
        return Driver(Problem(study, self.space, self.dataset.spec), store, options, "cpu", clock)

    def run(self, work: Work = run_trial, *, concurrent: int, **fields: Any) -> Clock:
        """Runs a study of these fields to its end."""
        clock, study = Clock(), replace(self.study, **fields)
        run_on_tune(self.driver(study, self.store(study), clock, concurrent=concurrent), self.dataset, work)
        return clock


@contextmanager
def local_ray(cpus: int) -> Iterator[None]:
    """Starts a local Ray with this many logical CPUs."""
    ray.init(address="local", num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def overhead(bench: Bench, quick: bool) -> tuple[Figures, Bars]:
    with local_ray(2):
        clock = bench.run(concurrent=2, name="overhead", trials=8 if quick else 40, epochs=1)
    (begin, _), *later = clock.told[1:]
    inside = sum(record.seconds.train + record.seconds.measure for _, record in later)
    taken = (2 * (later[-1][0] - begin) - inside) / len(later)
    return {"overhead, trials": len(clock.told)}, {"overhead a trial, s": (taken, 0.5, "max")}


def speedup(bench: Bench, quick: bool) -> tuple[Figures, Bars]:
    fields: Figures = {"trials": 6 if quick else 16, "epochs": 5 if quick else 30}
    seconds = {}
    with local_ray(2):
        for concurrent in (1, 2):
            clock = bench.run(concurrent=concurrent, name=f"speedup-{concurrent}", **fields)
            # The first trial of each worker includes the start of its process.
            done = [when for when, _ in clock.told]
            seconds[concurrent] = (done[-1] - done[concurrent - 1]) / (len(done) - concurrent) * len(done)
    figures = {f"speedup, {n} at a time, s for {fields['trials']} trials": s for n, s in seconds.items()}
    return figures, {"times sooner, two at a time": (seconds[1] / seconds[2], 1.6, "min")}


def train_beside(locked: bool, running: Event, over: Event) -> None:
    """Trains the reference until told to end, in a process of its own."""
    torch.set_num_threads(1)
    if not locked:
        isolation._Files.take_lock = lambda self, mode: None  # type: ignore[method-assign]
    study = replace(load_studies(find("study", "digits"))[0], objectives=(accuracy, macs), max_params=None, epochs=1000)
    spec = TrialSpec(0, Candidate(REFERENCES["resnet20"].architecture), study, threads=1)
    hooks = TrialHooks(interrupted=over.is_set, on_epoch=lambda epoch: running.set())
    with suppress(Interrupted):
        run_trial(spec, load("digits", Path()), hooks)


def reference_p50_ms() -> float:
    network = reference_network("resnet8", DIGITS)
    with measuring():
        report_ = measure_latency(
            network, "resnet8", DIGITS, score_functions(("margin",)), torch.device("cpu"), LatencyOptions(threads=1)
        )
    return report_.reference.p50


@contextmanager
def training(locked: bool) -> Iterator[None]:
    """Runs two trainings on this node, one per core."""
    context = get_context("spawn")
    running, over = [context.Event() for _ in range(2)], context.Event()
    work = [context.Process(target=train_beside, args=(locked, each, over), daemon=True) for each in running]
    for process in work:
        process.start()
    for event in running:
        assert event.wait(120), "the training has not begun"
    try:
        yield
    finally:
        over.set()
        for process in work:
            process.join(60)


def latency(bench: Bench, quick: bool) -> tuple[Figures, Bars]:
    ms: dict[str, list[float]] = {"quiet": [], "locked": [], "unlocked": []}
    reference_p50_ms()
    for _ in range(1 if quick else 5):
        ms["quiet"].append(reference_p50_ms())
        for name in ("locked", "unlocked"):
            with training(locked=name == "locked"):
                ms[name].append(reference_p50_ms())
    quiet, locked, unlocked = (statistics.median(ms[name]) for name in ("quiet", "locked", "unlocked"))
    figures = {"reference, quiet, ms": quiet, "beside trainings without the lock, %": 100 * (unlocked / quiet - 1)}
    return figures, {"beside trainings with the lock, % off": (100 * abs(locked / quiet - 1), 5.0, "max")}


def simulated(record: TrialRecord, seconds: float, spec: TrialSpec, dataset: Dataset, hooks: TrialHooks) -> TrialRecord:
    """Simulates a trial: sleeps, and returns a recorded curve and frontier."""
    for epoch in record.curve:
        time.sleep(seconds / len(record.curve))
        hooks.on_epoch(epoch)
    cost = network_cost(spec.candidate, dataset.spec)
    return replace(record, number=spec.number, candidate=spec.candidate, seed=spec.seed, cost=cost, directory="")


def saturation(bench: Bench, quick: bool) -> tuple[Figures, Bars]:
    logical, workers, sizes, seconds = (4, 4, (20,), 0.5) if quick else (64, WORKERS, (1_000, 5_000), 0.75)
    clock, study = Clock(), replace(bench.study, name="recorded", trials=2, epochs=3)
    store = bench.store(study, memory=True)
    local = bench.driver(study, store, clock)
    run_local(local, bench.dataset)
    recorded = made_up(local.records[-1], study, bench.space, bench.dataset, max(sizes))
    figures: Figures = {}
    with local_ray(logical):
        for size in sizes:
            more = 4 * workers
            study = replace(bench.study, name=f"saturation-{size}", trials=size + more, sampler="tpe", epochs=3)
            store, clock = bench.store(study), Clock()
            store.optuna.add_trials(recorded[:size])
            driver = bench.driver(study, store, clock, concurrent=workers)
            asked = timed(driver, "ask")
            cpu = time.process_time()
            run_on_tune(driver, bench.dataset, partial(simulated, local.records[-1], seconds))
            cpu = time.process_time() - cpu
            # Only while all workers are busy: after the first trial of each, before the last of any.
            done = [when for when, _ in clock.told][workers:-workers]
            name = f"{size} trials in the store"
            figures[f"{name}, trials a second"] = (len(done) - 1) / (done[-1] - done[0])
            figures[f"{name}, {workers} workers of {seconds:g} s at best"] = workers / seconds
            figures[f"{name}, driver's CPU a trial, ms"] = 1e3 * cpu / more
            figures[f"{name}, suggestion, ms"] = 1e3 * statistics.median(asked)
    return figures, {}


def timed(driver: Driver, name: str) -> list[float]:
    """The seconds that each call of one of the driver's methods takes that returns something, as they come."""
    seconds: list[float] = []
    method = getattr(driver, name)

    def measured() -> Any:
        begin = time.perf_counter()
        found = method()
        if found is not None:
            seconds.append(time.perf_counter() - begin)
        return found

    setattr(driver, name, measured)
    return seconds


PARTS: dict[str, Callable[[Bench, bool], tuple[Figures, Bars]]] = {
    "overhead": overhead,
    "speedup": speedup,
    "latency": latency,
    "saturation": saturation,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a run of a minute or two, which shows that it runs")
    parser.add_argument("--part", action="append", choices=PARTS, help="one part (may be repeated); default: all")
    args = parser.parse_args()
    figures: Figures = {}
    bars: Bars = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for name in args.part or PARTS:
            more, checked = PARTS[name](bench, args.quick)
            figures, bars = figures | more, bars | checked
    report("cluster", figures, bars)


if __name__ == "__main__":
    os.environ |= TUNE | OWN_RAY
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    main()
