"""Launches a search: all checks before any training, then the driver and the runner."""

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

import torch
from optuna.storages import BaseStorage

from searchlab.artefacts import load_network
from searchlab.candidate import Space
from searchlab.data.datasets import load
from searchlab.data.folder_spec import with_size
from searchlab.data.prepared import LoadHooks
from searchlab.data.splits import Dataset, described, limited
from searchlab.deploy.own_scores import use_scores
from searchlab.engines.catalog import check_engine, engine_named
from searchlab.errors import Interrupted, NotBegun, UserError, reason_of, unknown
from searchlab.exits.scores import GATE, SCORES
from searchlab.measure.device import out_of_memory, resolve_device
from searchlab.measure.references import REFERENCES
from searchlab.objective import OBJECTIVES
from searchlab.papers.evaluation import evaluate_trial, without_findings
from searchlab.papers.paper import Subject
from searchlab.runners.cluster import run_tune
from searchlab.runners.local import run_local
from searchlab.runners.trial_source import TrialSource
from searchlab.search.definition import NAME, Definition, check_objectives
from searchlab.search.driver import Driver, Problem, Watch
from searchlab.search.driver_lock import LOCK, only_driver
from searchlab.search.early_stopping import rule_for
from searchlab.search.paper_packages import load_paper
from searchlab.search.runs import check_schema
from searchlab.search.same_unit import same_machine, same_reference
from searchlab.search.samplers import check_sampler
from searchlab.search.spaces import check_heads, check_limits, check_partitions
from searchlab.search.startup import enqueue_missing
from searchlab.search.storage import check_writable, is_absent, new_storage
from searchlab.search.store import StudyStore
from searchlab.search.study_facts import fix_data, same_data, unit_of
from searchlab.search.study_folder import check_artefacts, check_free, claim, is_missing, release
from searchlab.search.warm_start import warm_started
from searchlab.study import RunOptions, Study
from searchlab.time_left import left_words
from searchlab.trial_files import disk_errors
from searchlab.user_file import is_file_name

RUNNERS: dict[str, Callable[[TrialSource, Dataset], None]] = {"local": run_local, "tune": run_tune}

RUN_ELSEWHERE = frozenset({"tune"})
"""Runners whose trials may run on other machines."""


def _silent(line: str) -> None:
    pass


@dataclass(frozen=True)
class Launch:
    """Inputs of a launch: the definition with its space, and where it runs. `stop` is set when the user interrupts.

    `say` receives messages about the steps after the trainings. A new study tries the front of `warm_start` after its
    enqueued configurations.
    """

    definition: Definition
    space: Space
    options: RunOptions
    watch: Watch
    runner: str = "local"
    stop: Event = field(default_factory=Event)
    say: Callable[[str], None] = _silent
    warm_start: StudyStore | None = None


def start(launch: Launch) -> Driver:
    """Starts a new study and runs it to the end of its budget.

    Raises:
        UserError: the study, its data, the device, the limits or the store are invalid; nothing was trained.
        Interrupted: the user asked to end.
    """
    dataset, device = _checked_anew(launch)
    name, options = launch.definition.study.name, launch.options
    check_schema(name, options)
    with only_driver(name, options):
        if is_absent(options.storage_url):
            check_free(options.output / name)
        with new_storage(options.storage_url) as storage:
            return _begin(launch, storage, dataset, device)


def start_afresh(launch: Launch) -> Driver:
    """Like `start`, but first removes the study of this name from the store and the output.

    Raises:
        UserError: as `start`; another process is running it.
        Interrupted: the user asked to end.
    """
    name, url = launch.definition.study.name, launch.options.storage_url
    dataset, device = _checked_anew(launch)
    check_schema(name, launch.options)
    with only_driver(name, launch.options), new_storage(url) as storage:
        StudyStore.discard(name, storage, url)
        _clear(launch.options.output / name)
        return _begin(launch, storage, dataset, device)


def resume(launch: Launch, store: StudyStore) -> Driver:
    """Resumes a study of the store, beginning with its unfinished trials.

    Raises:
        UserError: as `start`.
        Interrupted: the user asked to end.
    """
    study, options = launch.definition.study, launch.options
    check_writable(store.storage, store.url)
    check_objectives(store.definition.study, study, store.optuna.directions)
    check_total(store, study)
    dataset, device = _checked(launch)
    with only_driver(study.name, options):
        records = store.records()
        same_data(store, records, dataset)
        unit = unit_of(store, records)
        same_reference(unit, study)
        # A runner with remote trials checks the machine itself.
        if launch.runner not in RUN_ELSEWHERE:
            launch = replace(launch, options=same_machine(unit, study, options, device))
        claim(options.output / study.name, store, records)
        store.redefine(launch.definition)
        enqueue_missing(store, study, launch.space, dataset.spec)
        return _run(launch, store, dataset, device)


def _begin(launch: Launch, storage: BaseStorage, dataset: Dataset, device: torch.device) -> Driver:
    url = launch.options.storage_url
    if launch.warm_start is not None:
        study = warm_started(launch.definition.study, launch.space, dataset.spec, launch.warm_start)
        launch = replace(launch, definition=replace(launch.definition, study=study))
    launch.watch.on_phase(None, "drawing the first trials")
    store = StudyStore.create(launch.definition, storage, url, launch.options.output)
    study = launch.definition.study
    try:
        claim(launch.options.output / study.name, store, ())
        enqueue_missing(store, study, launch.space, dataset.spec)
        return _run(launch, store, dataset, device)
    except UserError:
        # If nothing has begun, for example because a cluster is unreachable, the same command can be repeated.
        if not store.records():
            release(launch.options.output / study.name, store)
            StudyStore.discard(launch.definition.study.name, store.storage, url)
        raise


def _clear(folder: Path) -> None:
    """Empties a study's folder except for the lock that is held on it."""
    with disk_errors(folder):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()


def _run(launch: Launch, store: StudyStore, dataset: Dataset, device: torch.device) -> Driver:
    fix_data(store, dataset)
    problem = Problem(launch.definition.study, launch.space, dataset.spec)
    notes = (f"data: {described(dataset)}", *dataset.notes)
    driver = Driver(problem, store, launch.options, str(device), launch.watch, launch.stop, say=launch.say, notes=notes)
    store.note_end("")
    with driver.leases.renewed():
        run_trials(driver, dataset, launch.runner, launch.options)
    _evaluate(launch, store, dataset, device)
    store.note_end(driver.ended_by)
    return driver


def run_trials(source: TrialSource, dataset: Dataset, runner: str, options: RunOptions) -> None:
    """Runs all trials of a source, with the number of threads in the options.

    Raises:
        Interrupted: the user asked to end.
    """
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    RUNNERS[runner](source, dataset)


def _evaluate(launch: Launch, store: StudyStore, dataset: Dataset, device: torch.device) -> None:
    """Evaluates the complete trials without findings, if the study belongs to a paper.

    A trial that cannot be evaluated is reported, and missing in the paper's tables.
    """
    study = launch.definition.study
    paper = load_paper(study.paper, launch.definition.file) if study.paper else None
    if paper is None or paper.evaluate is None:
        return
    missing, begun = without_findings(store.records()), time.monotonic()
    check_artefacts(store, missing)
    for record in missing:
        if is_missing(record):
            launch.say(f"trial {record.number}: not evaluated: its artefacts are missing: {record.directory}")
    missing = [record for record in missing if not is_missing(record)]
    for done, record in enumerate(missing):
        if launch.stop.is_set():
            raise Interrupted
        left = left_words((time.monotonic() - begun) / done * (len(missing) - done)) if done else ""
        spent = f"[{', '.join(filter(None, [f'{done} of {len(missing)}', left]))}]" if done else ""
        launch.say(f"trial {record.number}: evaluated for the table of {study.paper} ... {spent}".rstrip())
        launch.watch.on_phase(None, f"evaluating trial {record.number} for the table of {study.paper}")
        network = load_network(Path(record.directory), record.candidate, dataset.spec).to(device)
        threads = launch.options.threads or torch.get_num_threads()
        try:
            evaluate_trial(paper, Subject(study, record, network, dataset, device, threads))
        except (Interrupted, UserError):
            raise
        except Exception as error:  # Of any type, as in a trial: the other trials are evaluated nevertheless.
            launch.say(f"trial {record.number}: not evaluated: {out_of_memory(error) or reason_of(error)}")


def _checked_anew(launch: Launch) -> tuple[Dataset, torch.device]:
    """Like `_checked`, for a study that is not in the store yet."""
    try:
        return _checked(launch)
    except Interrupted as interrupted:
        raise NotBegun from interrupted


def _checked(launch: Launch) -> tuple[Dataset, torch.device]:
    if launch.runner not in RUNNERS:
        raise unknown("runner", launch.runner, RUNNERS, where="--runner")
    study = launch.definition.study
    if study.measures_latency and launch.runner not in RUN_ELSEWHERE:
        # A runner with remote trials checks the engine on its nodes.
        engine_named(study.engine, resolve_device(launch.options.device), "Study.engine")
    launch.watch.on_phase(None, f"reading {study.data}, checking the space")
    hooks = LoadHooks(launch.say, launch.stop.is_set)
    return check(launch.definition, launch.space, launch.options, hooks)


def check(
    definition: Definition, space: Space, options: RunOptions, hooks: LoadHooks | None = None
) -> tuple[Dataset, torch.device]:
    """Checks a study; returns its data and device.

    Raises:
        UserError: the study, its data, the device or the limits are invalid.
        Interrupted: `hooks.interrupted` returned True.
    """
    study = definition.study
    check_names(study, definition.file)
    device = resolve_device(options.device)
    dataset = load_data(study, options, hooks)
    check_partitions(space, dataset, study)
    check_heads(space, dataset.spec, study)
    check_limits(space, dataset.spec, study)
    return dataset, device


def load_data(study: Study, options: RunOptions, hooks: LoadHooks | None = None) -> Dataset:
    """Loads the data set of a study, reduced to `max_images`.

    Raises:
        UserError: the data are invalid.
        Interrupted: `hooks.interrupted` returned True.
    """
    spec = with_size(study.data, study.image_size)
    dataset = load(spec, options.data_root, download=options.download, hooks=hooks, files=study.files)
    return dataset if study.max_images is None else limited(dataset, study.max_images)


def check_names(study: Study, file: Path | None = None) -> None:
    """Checks that every name in a study is known, and its own name valid; `file` is where the study is written.

    Raises:
        UserError: a name is unknown or invalid; the error lists the known ones.
    """
    if not re.fullmatch(NAME, study.name):
        allowed = "letters, digits and . _ + -; see --name"
        raise UserError("invalid-study-name", "invalid study name", value=study.name, allowed=allowed)
    check_sampler(study.sampler, study.files)
    rule_for(study.early_stopping)
    if study.reference not in REFERENCES:
        raise unknown("reference", study.reference, REFERENCES, where="Study.reference")
    if study.paper:
        load_paper(study.paper, file)
    for score in study.scores:
        if score not in (*SCORES, GATE) and not is_file_name(score):
            known, besides = (*SCORES, GATE), "a .py file of your own"
            raise unknown("score", score, known, where="Study.scores", besides=besides)
    check_engine(study.engine)
    use_scores(study)
    for objective in study.objectives:
        if OBJECTIVES.get(objective.name) != objective:
            raise unknown("objective", objective.name, OBJECTIVES, where="Study.objectives")


def check_total(store: StudyStore, study: Study) -> None:
    """Checks that a new total number of trials is not smaller than the number of existing trials.

    Raises:
        UserError: it is smaller.
    """
    most, begun = study.trials, len(store.records())
    if most is None or most == store.definition.study.trials or most >= begun:
        return
    has = "1 trial" if begun == 1 else f"{begun} trials"
    what, allowed = f"study {study.name} already has {has}", f"the number is the total: --trials {begun + 1} adds one"
    raise UserError("invalid-usage", what, where="--trials", value=most, allowed=allowed)
