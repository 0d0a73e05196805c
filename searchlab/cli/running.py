"""Searching: `run` and `resume`."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import typer
from rich.markup import escape

from searchlab.cli import options as opt
from searchlab.cli.console import console, show
from searchlab.cli.live import watch_for
from searchlab.errors import Interrupted, UserError
from searchlab.front import study_front
from searchlab.report.tables import front_view
from searchlab.search.catalog import Source, find, load_space, load_study
from searchlab.search.driver import Driver
from searchlab.search.launch import Launch, start
from searchlab.search.launch import resume as resume_study
from searchlab.search.store import Definition, StudyStore, stored_study
from searchlab.study import RunOptions, Study


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command(rich_help_panel="Search")(run)
    app.command(rich_help_panel="Search")(resume)


def run(
    study: opt.StudyName,
    trials: opt.Trials = None,
    epochs: opt.Epochs = None,
    hours: opt.Hours = None,
    max_params: opt.MaxParams = None,
    max_macs: opt.MaxMacs = None,
    max_latency: opt.MaxLatency = None,
    objectives: opt.Objectives = None,
    sampler: opt.Sampler = None,
    early_stopping: opt.EarlyStopping = None,
    seed: opt.Seed = None,
    name: opt.Name = None,
    data: opt.DataRoot = Path("data"),
    download: opt.Download = False,
    device: opt.Device = "auto",
    threads: opt.Threads = None,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Search: train and measure candidates until the budget is spent, then show the front.

    Ctrl-C ends after the running step; `searchlab resume STUDY` goes on from there.
    """
    source = find("study", study)
    written = load_study(source)
    overrides = {
        "trials": trials,
        "epochs": epochs,
        "hours": hours,
        "max_params": max_params,
        "max_macs": max_macs,
        "max_latency_ms": max_latency,
        "objectives": opt.objectives_of(objectives),
        "sampler": sampler,
        "early_stopping": early_stopping,
        "seed": seed,
        "name": name,
    }
    effective = _overridden(written, overrides)
    space = find("space", written.space, beside=source.path)
    where = RunOptions(data, download, output, storage, device, threads)
    definition = Definition(effective, written, space.text, str(source.path.absolute()))
    _search(effective, definition, space, where, None)


def resume(
    study: opt.StoredStudy = None,
    trials: opt.Trials = None,
    hours: opt.Hours = None,
    force: bool = typer.Option(False, "--force", help="Go on although the study's definition has changed."),
    data: opt.DataRoot = Path("data"),
    download: opt.Download = False,
    device: opt.Device = "auto",
    threads: opt.Threads = None,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Go on with a study: first the trials that were begun and not finished, then new ones up to its budget.

    --trials N sets a new total. A study whose file or space has changed since is shown as a diff and refused.
    """
    where = RunOptions(data, download, output, storage, device, threads)
    store = stored_study(_stored_name(study), where)
    before = store.definition
    written, source = _as_written_now(study, before)
    space = find("space", written.space, beside=source.path if source else None)
    effective = _carried_over(before, written)
    effective = _overridden(effective, {"trials": trials, "hours": hours})
    now = Definition(effective, written, space.text, str(source.path.absolute()) if source else before.path)
    changes = before.changes(now)
    if changes and not force:
        console().print("\n".join(changes), markup=False, soft_wrap=True)
        where_it_is = f"study {effective.name}"
        raise UserError("its definition has changed since it was begun", where=where_it_is, allowed="--force goes on")
    _search(effective, now, space, where, store)


def _stored_name(study: str | None) -> str | None:
    """The name in the store of a study given by name or by path."""
    return load_study(find("study", study)).name if study is not None and study.endswith(".py") else study


def _as_written_now(study: str | None, before: Definition) -> tuple[Study, Source | None]:
    """The study as its file has it today; as it was stored where the file is not at hand."""
    if study is not None and study.endswith(".py"):
        source = find("study", study)
    elif Path(before.path).is_file():
        source = Source(Path(before.path).stem, Path(before.path))
    else:
        try:
            source = find("study", before.written.name)
        except UserError:
            return before.written, None
    return load_study(source), source


def _carried_over(before: Definition, written: Study) -> Study:
    """Today's file with the overrides that the study was begun with."""
    fields = vars(before.study)
    overridden = {name: value for name, value in fields.items() if value != getattr(before.written, name)}
    return replace(written, **overridden)


def _overridden(study: Study, overrides: dict[str, Any]) -> Study:
    from_command_line = {name: value for name, value in overrides.items() if value is not None}
    return replace(study, **from_command_line)


def _search(study: Study, definition: Definition, space: Source, where: RunOptions, store: StudyStore | None) -> None:
    stop = Event()
    with watch_for(study, where) as watch, ends_on_interrupt(stop):
        launch = Launch(definition, load_space(space), where, watch, stop=stop)
        try:
            driver = start(launch) if store is None else resume_study(launch, store)
        except Interrupted:
            driver = None
    if driver is None or stop.is_set():
        again = escape(_again(study, where))
        console().print(f"Stopped. Everything is kept: [bold]{again}[/bold] goes on.", soft_wrap=True)
        raise Interrupted
    _conclude(driver)


def _again(study: Study, where: RunOptions) -> str:
    defaults = RunOptions()
    options = {"--output": "output", "--storage": "storage", "--data": "data_root", "--device": "device"}
    words = ["searchlab resume", study.name]
    for option, field in options.items():
        if getattr(where, field) != getattr(defaults, field):
            words += [option, str(getattr(where, field))]
    return " ".join(words)


def _conclude(driver: Driver) -> None:
    show(front_view(driver.study, driver.records, study_front(driver.study, driver.records)))


@contextmanager
def ends_on_interrupt(stop: Event) -> Iterator[None]:
    """Ctrl-C sets `stop`; a second one ends at once."""

    def interrupt(signum: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        console().print("Ending after the running step; Ctrl-C again ends at once.")

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
