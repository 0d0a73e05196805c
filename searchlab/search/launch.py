"""From a study to a running search: every check comes before any training, then the driver and the runner go on."""

import fcntl
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event

import torch

from searchlab.candidate import Space
from searchlab.data.datasets import load
from searchlab.data.splits import Dataset
from searchlab.errors import UserError, unknown
from searchlab.exits.scores import SCORES
from searchlab.front import common_machine
from searchlab.measure.device import resolve_device, this_machine
from searchlab.measure.references import REFERENCES
from searchlab.objective import OBJECTIVES
from searchlab.record import TrialRecord
from searchlab.runners.local import run_local
from searchlab.runners.source import Source
from searchlab.search.driver import Driver, Problem, Watch
from searchlab.search.early_stopping import rule_for
from searchlab.search.samplers import check_sampler
from searchlab.search.spaces import check_limits
from searchlab.search.store import Definition, StudyStore, open_storage
from searchlab.study import RunOptions, Study

RUNNERS: dict[str, Callable[[Source, Dataset], None]] = {"local": run_local}


@dataclass(frozen=True)
class Launch:
    """What is to run: the definition with its space, and where. `stop` is set when the user wants an end."""

    definition: Definition
    space: Space
    options: RunOptions
    watch: Watch
    runner: str = "local"
    stop: Event = field(default_factory=Event)


def start(launch: Launch) -> Driver:
    """Begins a new study and runs it to the end of its budget.

    Raises:
        UserError: the study, its data, the device, the limits or the store are wrong; nothing was trained.
        Interrupted: the user asked to end.
    """
    study, dataset, device = _checked(launch)
    with only_driver(launch):
        storage = open_storage(launch.options.storage_url, create=True)
        store = StudyStore.create(launch.definition, storage, launch.options.storage_url)
        for known in study.enqueue:
            store.optuna.enqueue_trial(known)
        return _run(launch, store, dataset, device)


def resume(launch: Launch, store: StudyStore) -> Driver:
    """Goes on with a study that is in the store, from the trials that were begun and not finished.

    Raises:
        UserError: as `start`.
        Interrupted: the user asked to end.
    """
    study, dataset, device = _checked(launch)
    with only_driver(launch):
        records = store.records()
        _same_data(records, dataset)
        launch = replace(launch, options=_same_machine(records, study, launch.options, device))
        store.redefine(launch.definition)
        return _run(launch, store, dataset, device)


def _run(launch: Launch, store: StudyStore, dataset: Dataset, device: torch.device) -> Driver:
    problem = Problem(launch.definition.study, launch.space, dataset.spec)
    driver = Driver(problem, store, launch.options, str(device), launch.watch, launch.stop)
    if launch.options.threads is not None:
        torch.set_num_threads(launch.options.threads)
    RUNNERS[launch.runner](driver, dataset)
    return driver


def _checked(launch: Launch) -> tuple[Study, Dataset, torch.device]:
    study = launch.definition.study
    check_names(study)
    device = resolve_device(launch.options.device)
    dataset = load(study.data, launch.options.data_root, download=launch.options.download)
    check_limits(launch.space, dataset.spec, study)
    return study, dataset, device


def check_names(study: Study) -> None:
    """Whether every name in a study is known, and its own is fit for a folder.

    Raises:
        UserError: one is not; the known ones are listed.
    """
    if not re.fullmatch(r"\w[\w.+-]*", study.name):
        raise UserError("no name for a study", value=study.name, allowed="letters, digits and . _ + -; see --name")
    check_sampler(study.sampler)
    rule_for(study.early_stopping)
    if study.reference not in REFERENCES:
        raise unknown("reference", study.reference, REFERENCES, where="Study.reference")
    for score in study.scores:
        if score not in SCORES:
            raise unknown("score", score, SCORES, where="Study.scores")
    for objective in study.objectives:
        if OBJECTIVES.get(objective.name) != objective:
            raise unknown("objective", objective.name, OBJECTIVES, where="Study.objectives")


def _same_data(records: Sequence[TrialRecord], dataset: Dataset) -> None:
    hashes = {record.data_hash for record in records if record.data_hash}
    if hashes - {dataset.hash}:
        raise UserError(
            "the data are not those of the study so far",
            where=dataset.name,
            value=dataset.hash,
            allowed=f"so far {', '.join(sorted(hashes))}",
        )


def _same_machine(
    records: Sequence[TrialRecord], study: Study, options: RunOptions, device: torch.device
) -> RunOptions:
    """The options with as many threads as the study had so far, where none are asked for.

    Raises:
        UserError: the study's latencies are of another machine, so that new ones could not enter its front.
    """
    machine = common_machine(study, records)
    if machine is None:
        return options
    threads = options.threads or machine.threads
    here = this_machine(device, threads)
    if here != machine:
        raise UserError(
            "its latencies so far are of another machine, and do not mix",
            where=f"study {study.name}",
            value=here.in_full,
            allowed=f"so far {machine.in_full}; see --device and --threads, or begin another under --name",
        )
    return replace(options, threads=threads)


@contextmanager
def only_driver(launch: Launch) -> Iterator[None]:
    """Holds the study for this process; the system lets go of it when the process dies, however it does.

    Raises:
        UserError: another process is running the study.
    """
    folder = launch.options.output / launch.definition.study.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "driver.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UserError(f"cannot write: {error.strerror}", where=str(folder), allowed="see --output") from error
    try:
        _take(handle, launch.definition.study)
        yield
    finally:
        os.close(handle)


def _take(handle: int, study: Study) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.read(handle, 20).decode().strip()
        where, what = f"study {study.name}", f"process {owner} is running this study"
        raise UserError(what, where=where, allowed="wait for it, or end it") from error
    os.truncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
