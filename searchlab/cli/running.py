"""Commands `run` and `resume`."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.cells import cell_len
from rich.markup import escape
from rich.text import Text

from searchlab.cli import options as opt
from searchlab.cli import search_options as more
from searchlab.cli.console import show
from searchlab.cli.papers import filled_from, stored_as
from searchlab.cli.store_options import kept_words
from searchlab.errors import Interrupted
from searchlab.front.points import study_front
from searchlab.report.papers import tables_view
from searchlab.report.tables import front_view
from searchlab.search.catalog import load_space
from searchlab.search.driver import Driver
from searchlab.search.launch import check, check_names
from searchlab.session.console import console
from searchlab.session.plans import DefinitionChanged, Plan, Request, plans_for, resume_plan
from searchlab.session.searching import Stopped, search
from searchlab.study import Cluster, RunOptions


@opt.on_cluster
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
    objectives: more.Objectives = None,
    sampler: more.Sampler = None,
    early_stopping: more.EarlyStopping = None,
    engine: more.Engine = None,
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
    runner: more.Runner = "local",
    cluster: Cluster = opt.OWN_CLUSTER,
) -> None:
    """Search: train and measure candidates until the budget is spent, then show the front (or the paper's table).

    Ctrl-C ends after the current step; `searchlab resume STUDY` continues.
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
        "engine": engine,
        "seed": seed,
        "name": name,
    }
    where = RunOptions(
        download=download, output=output, storage=storage, device=device, threads=threads, cluster=cluster
    )
    request = Request(study, overrides, data, images, where, runner, smoke, warm_start, _say)
    _search_all(plans_for(request))


@opt.on_cluster
def resume(
    study: opt.StoredStudy = None,
    trials: opt.Trials = None,
    hours: opt.Hours = None,
    epochs_total: opt.EpochsTotal = None,
    until_stalled: opt.UntilStalled = None,
    force: bool = typer.Option(False, "--force", help="Resume even though the study's definition has changed."),
    data: opt.DataRoot = None,
    download: opt.Download = False,
    device: opt.Device = "auto",
    threads: opt.Threads = None,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
    runner: more.Runner = "local",
    cluster: Cluster = opt.OWN_CLUSTER,
) -> None:
    """Resume a study: first its unfinished trials, then new ones until the budget is spent.

    --trials N and --epochs-total N set a new total. If the study's file or space has
    changed, the command prints a diff and refuses to resume; see --force.
    """
    budget = {"trials": trials, "hours": hours, "epochs_total": epochs_total, "until_stalled": until_stalled}
    where = RunOptions(
        download=download, output=output, storage=storage, device=device, threads=threads, cluster=cluster
    )
    try:
        plan = resume_plan(Request(study, budget, data, where=where, runner=runner), force=force)
    except DefinitionChanged as changed:
        _say("\n".join(changed.diff))
        raise
    _search_all([plan])


def _say(text: str) -> None:
    console().print(text, markup=False, soft_wrap=True)


def _search_all(plans: Sequence[Plan]) -> None:
    """Searches studies one after the other, after checks of all of them; then shows the papers' tables."""
    for plan in plans:
        check_names(plan.study, plan.definition.file)
    if len(plans) > 1:
        for plan in plans:
            check(plan.definition, load_space(plan.space), plan.where)
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
    try:
        return search(plan)
    except Stopped:
        _say_stopped(_again(plan))
        raise


def _say_stopped(again: str) -> None:
    """Prints the command that continues, on its own line if it would otherwise be broken."""
    to, line = console(), f"Stopped. All results are kept. To continue: [bold]{escape(again)}[/bold]"
    if to.is_terminal and cell_len(Text.from_markup(line).plain) > to.width:
        line = f"Stopped. All results are kept. To continue:\n[bold]{escape(again)}[/bold]"
    to.print(line, soft_wrap=True)


def _again(plan: Plan) -> str:
    """Returns the command that continues a study, with the options that differ from their defaults.

    The number of threads is in the store.
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
