"""Command `plot`."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import typer

from searchlab.analysis.test_looks import looked_at
from searchlab.cli import options as opt
from searchlab.cli.console import show, show_json
from searchlab.front.history import SearchHistory
from searchlab.front.points import common_machine
from searchlab.record import TrialRecord
from searchlab.report.compared import write_compared_html, write_compared_png
from searchlab.report.convergence import write_convergence_html, write_convergence_png
from searchlab.report.growth import growth_payload, write_growth_html, write_growth_png
from searchlab.report.importance import Bars, write_importance_html, write_importance_png
from searchlab.report.plots import write_html, write_png
from searchlab.report.replicates_plot import write_replicates_html, write_replicates_png
from searchlab.search.profiles import OWN, profiled
from searchlab.search.store import StudyStore, stored_study
from searchlab.search.study_folder import check_folder
from searchlab.session.replicated import replicated
from searchlab.study import Study
from searchlab.trial_files import disk_errors


@dataclass(frozen=True)
class Drawn:
    """A stored study, the folder for its plots, and the records of its trials in the order of their ends."""

    store: StudyStore
    study: Study
    folder: Path
    profiles: tuple[str, ...] = ()

    @cached_property
    def records(self) -> list[TrialRecord]:
        return self.store.records()

    def in_profile(self, name: str) -> list[TrialRecord]:
        """Returns the records with the latencies of a profile; "study": those of the search.

        Raises:
            UserError: the study has no profile of this name.
        """
        return self.records if name == OWN else profiled(self.store, self.records, name)

    @cached_property
    def history(self) -> SearchHistory:
        """History of the trials, whose latencies must be comparable.

        Raises:
            UserError: they were measured on different machines.
        """
        common_machine(self.study, self.records)
        return SearchHistory(self.study, self.store.ended())

    def paths(self, name: str) -> tuple[Path, Path]:
        """Returns the paths of a plot's page and picture."""
        return self.folder / f"{name}.html", self.folder / f"{name}.png"


Written = dict[str, Any]
"""Content of `--json` for a plot: paths of its page and picture, and its numbers."""


def _front(drawn: Drawn) -> Written:
    _, tests = looked_at(drawn.records, drawn.store.looks())
    html, png = drawn.paths("front")
    write_html(html, drawn.study, drawn.records, tests=tests)
    write_png(png, drawn.study, drawn.records)
    return {"html": html, "png": png} | (_convergence(drawn) if drawn.study.curves else {})


def _convergence(drawn: Drawn) -> Written:
    html, png = drawn.paths("convergence")
    write_convergence_html(html, drawn.study, drawn.records)
    write_convergence_png(png, drawn.study, drawn.records)
    return {"convergence_html": html, "convergence_png": png}


def _hypervolume(drawn: Drawn) -> Written:
    html, png = drawn.paths("hypervolume")
    write_growth_html(html, drawn.history)
    write_growth_png(png, drawn.history)
    return {"hypervolume_html": html, "hypervolume_png": png, "hypervolume": growth_payload(drawn.history)}


def _importance(drawn: Drawn) -> Written:
    from searchlab.analysis.importance import importances

    html, png = drawn.paths("importance")
    found = importances(drawn.store, drawn.history)
    bars = Bars(drawn.study, drawn.records, found.shares, found.chance, found.trials, found.conditional)
    write_importance_html(html, bars)
    write_importance_png(png, bars)
    return {"importance_html": html, "importance_png": png, "importance": asdict(found)}


def _replicates(drawn: Drawn) -> Written:
    front = replicated(drawn.store)
    html, png = drawn.paths("replicates")
    write_replicates_html(html, drawn.study, front)
    write_replicates_png(png, drawn.study, front)
    return {"replicates_html": html, "replicates_png": png}


def _profile(drawn: Drawn) -> Written:
    name = drawn.profiles[0]
    html, png = drawn.paths(f"front-{name}")
    records = drawn.in_profile(name)
    write_html(html, drawn.study, records)
    write_png(png, drawn.study, records)
    return {"html": html, "png": png}


def _compared(drawn: Drawn) -> Written:
    html, png = drawn.paths("profiles")
    records = {name: drawn.in_profile(name) for name in drawn.profiles}
    write_compared_html(html, drawn.study, records)
    write_compared_png(png, drawn.study, records)
    return {"profiles_html": html, "profiles_png": png}


def plot(
    study: opt.StoredStudy = None,
    hypervolume: Annotated[
        bool, typer.Option("--hypervolume", help="Plot the front's hypervolume against the training spent.")
    ] = False,
    importance: Annotated[
        bool,
        typer.Option(
            "--importance", help="Plot the importance of every parameter for each objective and the hypervolume."
        ),
    ] = False,
    replicates: Annotated[
        bool,
        typer.Option(
            "--replicates", help="Plot the front with the results of fresh seeds (see `searchlab replicate`)."
        ),
    ] = False,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            help="Plot the front of a profile (see `searchlab profile`); several: their fronts in one picture. "
            f'"{OWN}" is the study\'s own.',
            metavar="NAME",
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(help="Folder to write to; default: the study's folder.", metavar="FOLDER"),
    ] = None,
    as_json: opt.AsJson = False,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Write an interactive page and a PNG of the front, with every trial's frontier behind it.

    A study with curves also gets a page and a PNG of its learning curves. --hypervolume, --importance, --replicates and
    --profile write their own plot instead; with --json the numbers of the first three are printed.
    """
    store = stored_study(study, opt.kept_at(output, storage))
    defined = store.definition.study
    drawn = Drawn(store, defined, to or output / defined.name, tuple(dict.fromkeys(profile or [])))
    asked: list[Callable[[Drawn], Written]] = [*[_hypervolume] * hypervolume, *[_importance] * importance]
    asked += [_replicates] * replicates
    if drawn.profiles and drawn.profiles != (OWN,):
        asked.append(_profile if len(drawn.profiles) == 1 else _compared)
    written: Written = {}
    if to is None:
        check_folder(drawn.folder, store)
    with disk_errors(drawn.folder, see="--to"):
        drawn.folder.mkdir(parents=True, exist_ok=True)
        for write in asked or [_front]:
            written |= write(drawn)
    paths = {kind: str(path) for kind, path in written.items() if isinstance(path, Path)}
    if as_json:
        show_json({"study": defined.name} | written | paths)
    else:
        show("\n".join(paths.values()))
