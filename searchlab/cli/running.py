"""Searching: `run` and `resume`."""

import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import typer
from rich.cells import cell_len
from rich.markup import escape
from rich.text import Text

from searchlab.cli import options as opt
from searchlab.cli.console import console, say, show
from searchlab.cli.data_options import check_output, images_of, is_data_set, root_of
from searchlab.cli.live import watch_for
from searchlab.cli.papers import filled_from, stored_as
from searchlab.cli.store_options import kept_words
from searchlab.data.folder_spec import is_folder, parse_folder
from searchlab.errors import Interrupted, NotBegun, UserError
from searchlab.front.points import study_front
from searchlab.report.growth import standing
from searchlab.report.papers import tables_view
from searchlab.report.tables import front_view
from searchlab.search.catalog import (
    SourceFile,
    find,
    label_of,
    load_space,
    load_studies,
    named_studies,
    source_at,
    studies_on,
    with_files,
)
from searchlab.search.definition import Definition, check_objectives
from searchlab.search.driver import Driver
from searchlab.search.early_stopping import with_rungs
from searchlab.search.launch import Launch, check, check_names, check_total, start, start_afresh
from searchlab.search.launch import resume as resume_study
from searchlab.search.smoke import on_what_is_there, smoke_of
from searchlab.search.store import StudyStore, stored_names, stored_study
from searchlab.study import OTHER_BUDGETS, Cluster, RunOptions, Study, with_more


@dataclass(frozen=True)
class Plan:
    """A study that is about to be searched, and how it begins: `start`, `start_afresh` or `resume`."""

    definition: Definition
    space: SourceFile
    where: RunOptions
    begin: Callable[[Launch], Driver]
    runner: str = "local"

    @property
    def study(self) -> Study:
        """What is searched, overrides included."""
        return self.definition.study


def run(
    study: opt.StudyName,
    smoke: opt.Smoke = False,
    trials: opt.Trials = None,
    epochs: opt.Epochs = None,
    hours: opt.Hours = None,
    epochs_total: opt.EpochsTotal = None,
    until_stalled: opt.UntilStalled = None,
    max_params: opt.MaxParams = None,
    max_macs: opt.MaxMacs = None,
    max_latency: opt.MaxLatency = None,
    objectives: opt.Objectives = None,
    sampler: opt.Sampler = None,
    early_stopping: opt.EarlyStopping = None,
    warm_start: opt.WarmStart = None,
    seed: opt.Seed = None,
    name: opt.Name = None,
    images: opt.Images = None,
    data: opt.DataRoot = None,
    download: opt.Download = False,
    device: opt.Device = "auto",
    threads: opt.Threads = None,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
    runner: opt.Runner = "local",
    address: opt.Address = None,
    cpus_per_trial: opt.CpusPerTrial = None,
    gpus_per_trial: opt.GpusPerTrial = None,
    concurrent: opt.Concurrent = None,
    max_failures: opt.MaxFailures = None,
    storage_path: opt.StoragePath = None,
    latency_node: opt.LatencyNode = None,
) -> None:
    """Search: train and measure candidates until the budget is spent, then show the front (or the paper's table).

    Ctrl-C ends after the running step; `searchlab resume STUDY` goes on from there.
    """
    overrides = {
        "trials": trials,
        "epochs": epochs,
        "hours": hours,
        "epochs_total": epochs_total,
        "until_stalled": until_stalled,
        "max_params": max_params,
        "max_macs": max_macs,
        "max_latency_ms": max_latency,
        "objectives": opt.objectives_of(objectives),
        "sampler": opt.sampler_of(sampler),
        "early_stopping": early_stopping,
        "seed": seed,
        "name": name,
    }
    spec = images_of(images, data)
    source, studies = studies_on(study, spec)
    _check_name(name, studies)
    nodes = opt.cluster_of(
        runner,
        address=address,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
        concurrent=concurrent,
        max_failures=max_failures,
        storage_path=storage_path,
        latency_node=latency_node,
    )
    changed = [(written, with_rungs(_overridden(_on(written, spec), overrides))) for written in studies]
    given = None if data is None or is_data_set(data) else data
    root = root_of(given, [each for _, each in changed], download=download)
    check_output(output, [each for _, each in changed])
    where = RunOptions(root, download, output, storage, device, threads, nodes)
    if smoke:
        changed = [(written, _smoke(effective, where)) for written, effective in changed]
    begin = start_afresh if smoke else start
    if warm_start is not None:
        begin = partial(_warmly, begin, stored_study(warm_start, where))
    plans = [_plan(source, written, effective, where, begin) for written, effective in changed]
    _search_all([replace(plan, runner=runner) for plan in plans])


def resume(
    study: opt.StoredStudy = None,
    trials: opt.Trials = None,
    hours: opt.Hours = None,
    epochs_total: opt.EpochsTotal = None,
    until_stalled: opt.UntilStalled = None,
    force: bool = typer.Option(False, "--force", help="Go on although the study's definition has changed."),
    data: opt.DataRoot = None,
    download: opt.Download = False,
    device: opt.Device = "auto",
    threads: opt.Threads = None,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
    runner: opt.Runner = "local",
    address: opt.Address = None,
    cpus_per_trial: opt.CpusPerTrial = None,
    gpus_per_trial: opt.GpusPerTrial = None,
    concurrent: opt.Concurrent = None,
    max_failures: opt.MaxFailures = None,
    storage_path: opt.StoragePath = None,
    latency_node: opt.LatencyNode = None,
) -> None:
    """Go on with a study: first the trials that were begun and not finished, then new ones up to its budget.

    --trials N and --epochs-total N set a new total. A study whose file or space has changed since is shown as a diff
    and refused.
    """
    nodes = opt.cluster_of(
        runner,
        address=address,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
        concurrent=concurrent,
        max_failures=max_failures,
        storage_path=storage_path,
        latency_node=latency_node,
    )
    store = stored_study(_stored_name(study), opt.kept_at(output, storage))
    before = store.definition
    root = root_of(data, [before.study], download=download)
    where = RunOptions(root, download, output, storage, device, threads, nodes)
    written, source = _as_written_now(study, before)
    space = find("space", written.space, beside=source.path if source else None)
    effective = _carried_over(before, written)
    budget = {"trials": trials, "hours": hours, "epochs_total": epochs_total, "until_stalled": until_stalled}
    effective = _overridden(effective, budget)
    check_objectives(before.study, effective, store.optuna.directions)
    check_total(store, effective)
    beside = source.path if source else Path(before.path) if before.path else None
    effective = with_files(effective, beside, known=before.study.files)
    now = Definition(effective, written, space.text, str(source.path.absolute()) if source else before.path)
    changes = before.changes(now)
    if changes and not force:
        console().print("\n".join(changes), markup=False, soft_wrap=True)
        where_it_is = f"study {effective.name}"
        raise UserError("its definition has changed since it was begun", where=where_it_is, allowed="--force goes on")
    _search_all([Plan(now, space, where, partial(resume_study, store=store), runner)])


def _check_name(name: str | None, studies: Sequence[Study]) -> None:
    if name is not None and len(studies) > 1:
        known = ", ".join(each.name for each in studies)
        raise UserError("several studies cannot have one name", where="--name", value=name, allowed=f"run one: {known}")


def _warmly(begin: Callable[[Launch], Driver], earlier: StudyStore, launch: Launch) -> Driver:
    return begin(replace(launch, warm_start=earlier))


def _smoke(study: Study, where: RunOptions) -> Study:
    small = on_what_is_there(smoke_of(study), where)
    if small.data != study.data:
        line = f"{study.data} is not in {where.data_root}: {small.data} (embedded, real images) stand in for it"
        console().print(line, markup=False, soft_wrap=True)
    return small


def _on(study: Study, spec: str | None) -> Study:
    """The study on other data, if any are given, which its name then says."""
    if spec is None or study.data == spec:
        return study
    size = parse_folder(spec).size if is_folder(spec) else None
    return replace(study, data=spec, image_size=size or study.image_size, name=f"{study.name}-{label_of(spec)}")


def _plan(
    source: SourceFile | None, written: Study, effective: Study, where: RunOptions, begin: Callable[[Launch], Driver]
) -> Plan:
    beside = source.path if source else None
    space, effective = find("space", written.space, beside=beside), with_files(effective, beside)
    path = str(source.path.absolute()) if source else ""
    return Plan(Definition(effective, written, space.text, path), space, where, begin)


def _stored_name(study: str | None) -> str | None:
    """The name in the store of a study given by name or by path."""
    if study is None or not study.endswith(".py"):
        return study
    names = [each.name for each in load_studies(find("study", study))]
    if len(names) > 1:
        raise UserError("the file holds several studies", value=study, allowed=f"resume one: {', '.join(names)}")
    return names[0]


def _as_written_now(study: str | None, before: Definition) -> tuple[Study, SourceFile | None]:
    """The study as its file has it today; as it was stored where the file is not at hand."""
    name = before.written.name
    if study is not None and study.endswith(".py"):
        source = find("study", study)
    elif not before.path:
        # A space on one's own images, which has no file.
        return before.written, None
    elif Path(before.path).is_file():
        source = source_at(Path(before.path))
    else:
        try:
            source, _ = named_studies(name)
        except UserError:
            return before.written, None
    studies = load_studies(source)
    found = studies if len(studies) == 1 else [each for each in studies if each.name == name]
    if not found:
        known = ", ".join(each.name for each in studies)
        raise UserError("holds no such study any more", where=str(source.path), value=name, allowed=f"it has {known}")
    return found[0], source


def _carried_over(before: Definition, written: Study) -> Study:
    """Today's file with the overrides that the study was begun with."""
    fields = vars(before.study)
    ours = {name: value for name, value in fields.items() if name != "files"}
    overridden = {name: value for name, value in ours.items() if value != getattr(before.written, name)}
    if "enqueue" in overridden:
        # A warm start added to what the file had; the file may have more today.
        had = before.written.enqueue
        added = {name: params for name, params in before.study.enqueue.items() if name not in had}
        overridden["enqueue"] = with_more(written.enqueue, added)
    return replace(written, **overridden)


def _overridden(study: Study, overrides: dict[str, Any]) -> Study:
    from_command_line = {name: value for name, value in overrides.items() if value is not None}
    # Who asks for two hours, or until it stalls, does not mean the number of trials that the study's file has; but a
    # study that trains what it enqueues, and no more, goes on to do so.
    searches = study.trials is None or study.trials > len(study.enqueue)
    lifted = {"trials": None} if OTHER_BUDGETS & from_command_line.keys() and searches else {}
    return replace(study, **lifted | from_command_line)


def _search_all(plans: Sequence[Plan]) -> None:
    """One after the other; a mistake in any comes to light before the first is trained. Then the papers' tables."""
    for plan in plans:
        check_names(plan.study)
    if len(plans) > 1:
        for plan in plans:
            check(plan.study, load_space(plan.space), plan.where)
    for number, plan in enumerate(plans, start=1):
        try:
            driver = _search(plan)
        except Interrupted:
            if rest := ", ".join(later.study.name for later in plans[number:]):
                console().print(f"Not begun: {rest}.", markup=False, soft_wrap=True)
            raise
        if not plan.study.paper:
            chosen = study_front(driver.study, driver.records)
            show(front_view(driver.study, driver.records, chosen, kept_words(plan.where)))
    finished = [each for plan in plans if plan.study.paper for each in stored_as(plan.study.name, plan.where)]
    for paper in dict.fromkeys(each.study.paper for each in finished):
        filled = filled_from([each for each in finished if each.study.paper == paper])
        show(tables_view(filled.tables, filled.missing))


def _search(plan: Plan) -> Driver:
    stop = Event()
    with watch_for(plan.study, plan.where) as watch, ends_on_interrupt(stop, watch.say):
        space = load_space(plan.space)
        launch = Launch(plan.definition, space, plan.where, watch, plan.runner, stop=stop, say=watch.say)
        try:
            driver = plan.begin(launch)
        except NotBegun:
            watch.say("Stopped before the study began: the same command begins it.")
            raise
        except KeyboardInterrupt:
            if plan.study.name not in stored_names(plan.where):
                raise
            driver = None
        except Interrupted:
            driver = None
    if driver is None or stop.is_set():
        _say_stopped(_again(plan))
        raise Interrupted
    say(f"Ended: {driver.ended_by}. {standing(driver.history)}.")
    return driver


def _say_stopped(again: str) -> None:
    """How to go on, the command on a line of its own where it would be broken."""
    to, line = console(), f"Stopped. Everything is kept: [bold]{escape(again)}[/bold] goes on."
    if to.is_terminal and cell_len(Text.from_markup(line).plain) > to.width:
        line = f"Stopped. Everything is kept. To go on:\n[bold]{escape(again)}[/bold]"
    to.print(line, soft_wrap=True)


def _again(plan: Plan) -> str:
    """The command that goes on: the options that are not as they are by default, under the names of their fields.

    The store knows the number of threads.
    """
    renamed = {"data_root": "data"}
    words = ["searchlab", "resume", plan.study.name]
    if plan.runner != "local":
        words += ["--runner", plan.runner]
    for given, default in ((plan.where, RunOptions()), (plan.where.cluster, Cluster())):
        for field, value in vars(given).items():
            if value != getattr(default, field) and field not in ("cluster", "download", "threads"):
                words += [f"--{renamed.get(field, field).replace('_', '-')}", str(value)]
    return shlex.join(words)


@contextmanager
def ends_on_interrupt(stop: Event, say: Callable[[str], None]) -> Iterator[None]:
    """Ctrl-C sets `stop`, and says so; a second one ends at once."""

    def interrupt(signum: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        say("Ending after the running step; Ctrl-C again ends at once.")

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
