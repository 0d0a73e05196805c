"""What a search costs beside training and measuring: seconds per trial with 10, 100 and 1,000 trials in the store.

Real trials of the digits study run through the real driver, on a memory store and on a SQLite file that hold so many
trials already. Overhead is the wall clock of a trial, from the moment it is asked for until it is told, less what its
record says went into training and measuring: suggestion, projection to the cap, building, exit table, frontier search,
artefacts, store. The recorded trials are the study's own space sampled at random, with the frontier of a real trial
shifted at random. Trials are of one epoch and take MACs as their cost, so that there is little else to wait for.
"""

import random
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import optuna
from common import arguments, report
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial

from searchlab.candidate import Space
from searchlab.data.datasets import load
from searchlab.data.splits import Dataset
from searchlab.front.history import SearchHistory
from searchlab.objective import accuracy, macs
from searchlab.operating_point import Frontier
from searchlab.record import Epoch, TrialRecord
from searchlab.runners.local import run_local
from searchlab.search.catalog import find, load_space, load_studies
from searchlab.search.definition import Definition
from searchlab.search.driver import Driver, Problem
from searchlab.search.spaces import propose
from searchlab.search.storage import open_storage
from searchlab.search.store import StudyStore
from searchlab.serialization import to_plain
from searchlab.study import RunOptions, Study, TrialSpec

SIZES, MEASURED = (10, 100, 1000), 10


class Clock:
    """Observer that records the overhead of every trial."""

    def __init__(self) -> None:
        self.last = time.perf_counter()
        self.overhead_ms: list[float] = []

    def on_begin(self, history: SearchHistory) -> None:
        self.last = time.perf_counter()

    def on_start(self, spec: TrialSpec) -> None:
        pass

    def on_epoch(self, number: int, epoch: Epoch) -> None:
        pass

    def on_phase(self, number: int | None, phase: str) -> None:
        pass

    def on_word(self, number: int, text: str) -> None:
        pass

    def on_end(self, record: TrialRecord) -> None:
        now = time.perf_counter()
        inside = record.seconds.train + record.seconds.measure
        self.overhead_ms.append(1e3 * (now - self.last - inside))
        self.last = now


def run(store: StudyStore, study: Study, space: Space, dataset: Dataset, folder: Path) -> tuple[list[float], Driver]:
    clock = Clock()
    driver = Driver(Problem(study, space, dataset.spec), store, RunOptions(output=folder), "cpu", clock)
    run_local(driver, dataset)
    return clock.overhead_ms, driver


def shifted(record: TrialRecord, number: int, rng: random.Random) -> TrialRecord:
    """Returns the record with a shifted frontier: other accuracies, other MACs."""
    assert record.frontier is not None
    factor = rng.uniform(0.5, 2.0)
    points = tuple(
        replace(p, correct=max(1, p.correct - rng.randrange(40)), macs=p.macs * factor) for p in record.frontier.points
    )
    return replace(record, number=number, frontier=Frontier("validation", points))


def made_up(record: TrialRecord, study: Study, space: Space, dataset: Dataset, count: int) -> list[FrozenTrial]:
    rng, scratch = random.Random(0), optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = []
    for number in range(2, count):
        trial = scratch.ask()
        candidate = propose(space, trial, dataset.spec, study)
        found = replace(shifted(record, number, rng), candidate=candidate)
        assert found.frontier is not None
        point = rng.choice(found.frontier.points)
        trials.append(
            optuna.trial.create_trial(
                params=trial.params,
                distributions=trial.distributions,
                values=[float(getattr(point, o.name)) for o in study.objectives],
                user_attrs={"record": to_plain(found), "artefacts": found.directory},
            )
        )
    return trials


def main() -> None:
    args = arguments(__doc__ or "")
    sizes = SIZES[:2] if args.quick else SIZES
    source = find("study", "digits")
    written = replace(load_studies(source)[0], epochs=1, objectives=(accuracy, macs), min_accuracy=0.0)
    found = find("space", written.space_name)
    space, dataset = load_space(found), load("digits", args.data)
    figures: dict[str, float] = {}
    recorded: list[FrozenTrial] = []
    with tempfile.TemporaryDirectory() as temporary:
        for count in sizes:
            for kind in ("memory", "sqlite"):
                folder = Path(temporary) / f"{kind}-{count}"
                url = f"sqlite:///{folder}/studies.db"
                study = replace(written, trials=2)
                storage: BaseStorage = InMemoryStorage() if kind == "memory" else open_storage(url, create=True)
                store = StudyStore.create(Definition(study, study, found.text), storage, url)
                _, driver = run(store, study, space, dataset, folder)
                recorded = recorded or made_up(driver.records[-1], study, space, dataset, max(sizes))
                store.optuna.add_trials(recorded[: count - 2])
                overhead_ms, _ = run(store, replace(study, trials=count + MEASURED), space, dataset, folder)
                figures[f"{kind}, {count} trials, ms a trial"] = statistics.median(overhead_ms)
                figures[f"{kind}, {count} trials, worst ms"] = max(overhead_ms)
    largest = {f"{kind}, {sizes[-1]} trials, ms a trial" for kind in ("memory", "sqlite")}
    report("overhead", figures, {name: (figures[name], 100.0, "max") for name in sorted(largest)})


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    main()
