"""A study on a Ray of its own, in a process that can be killed: `python study_process.py FOLDER`."""

import sys
from functools import partial
from pathlib import Path

from slow_trials import slow_trial
from tiny import Seen, tiny_space, tiny_study

from searchlab.data.datasets import load
from searchlab.data.splits import limited
from searchlab.runners import cluster
from searchlab.search.driver import Driver, Problem
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore
from searchlab.study import Cluster, RunOptions

STUDY = tiny_study(trials=8, epochs=4, rungs=(1, 2, 3), early_stopping="moasha")


def driver_in(folder: Path, *, begin: bool) -> Driver:
    """The driver of the study kept in a folder."""
    options = RunOptions(output=folder / "runs", device="cpu", threads=1, cluster=Cluster(concurrent=2))
    url = options.storage_url
    storage = open_storage(url, create=True)
    made = StudyStore.create(Definition(STUDY, STUDY, ""), storage, url) if begin else None
    store = made or StudyStore.load(STUDY.name, storage, url)
    return Driver(Problem(STUDY, tiny_space, images().spec), store, options, "cpu", Seen())


def images():
    return limited(load("digits", Path()), 100)


def run(driver: Driver, folder: Path) -> None:
    """Goes on to the end of the study."""
    from searchlab.runners.tune.run import run_on_tune

    run_on_tune(driver, images(), partial(slow_trial, folder))


if __name__ == "__main__":
    import os

    os.environ.update(cluster.TUNE | cluster.OWN_RAY)
    here = Path(sys.argv[1])
    run(driver_in(here, begin=True), here)
