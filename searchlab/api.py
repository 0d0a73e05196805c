"""The Python API: run a search, resume one, open its results.

import searchlab

results = searchlab.run("digits", trials=8)
results.front()
results.best(max_latency_ms=0.2).classifier().predict(["seven.png"])
"""

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from searchlab.errors import Interrupted, NotBegun, UserError, unknown
from searchlab.objective import Objective
from searchlab.search.store import stored_names, stored_study
from searchlab.session.console import console
from searchlab.session.data_options import root_of
from searchlab.session.plans import DefinitionChanged, Plan, Request, check_kept, plans_for, resume_plan
from searchlab.session.python_words import in_python
from searchlab.session.results import Classifier, Point, Results
from searchlab.session.searching import search
from searchlab.study import Cluster, RunOptions, Study
from searchlab.user_file import is_file_name

__all__ = ["Classifier", "Point", "Results", "open_study", "resume", "run"]

Named = str | Path | Study
"""A study: the name or the path of its file, or the study itself."""


class Where(TypedDict, total=False):
    """Where a study runs and is stored.

    Attributes:
        storage: URL of any Optuna storage; default: studies.db in the output folder.
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: CPU threads for training and measuring; default: torch's.
        download: fetch data set files that are missing.
        cluster: the Ray cluster of runner="tune".
    """

    storage: str
    device: str
    threads: int | None
    download: bool
    cluster: Cluster


class Budget(TypedDict, total=False):
    """Limits of a study; the first one that is reached ends it.

    Attributes:
        trials: total number of trials.
        hours: begin no trial after this many hours.
        epochs_total: begin no trial once this many epochs are trained in total.
        until_stalled: begin no trial once the last N trials added no more to the hypervolume than its noise.
    """

    trials: int | None
    hours: float | None
    epochs_total: int | None
    until_stalled: int | None


class Overrides(Budget, Where, total=False):
    """Further parameters of `run`: fields of the `Study` that differ from its file, and where it runs.

    Attributes:
        name: name of the study in the store; default: its own.
        images: your own images, which replace the study's: a folder with one folder per class ("PATH?size=N" for N x N
            pixels), a URL, or a .py file. `study` may then be a space.
        smoke: test run as study NAME-smoke, always new: one epoch of a few hundred images.
        warm_start: a finished study of the same space in the same store, whose front is tried first.
        resume: resume the study if the store already holds it.
    """

    name: str | None
    epochs: int | None
    max_params: int | None
    max_macs: int | None
    max_latency_ms: float | None
    min_accuracy: float | None
    objectives: tuple[Objective | str, ...] | None
    sampler: str | None
    early_stopping: str | None
    seed: int | None
    reference: str | None
    engine: str | None
    max_images: int | None
    image_size: int | None
    curves: bool | None
    images: str | Path | None
    smoke: bool
    warm_start: str | None
    resume: bool


class ResumeOverrides(Budget, Where, total=False):
    """Further parameters of `resume`: a new budget, where it runs, and `force` for a changed definition."""

    force: bool


STUDY_FIELDS = frozenset(Overrides.__annotations__) & {field.name for field in fields(Study)}
WHERE = frozenset(Where.__annotations__)


def run(
    study: Named,
    *,
    data: str | Path | None = None,
    output: str | Path = "runs",
    runner: str = "local",
    progress: bool = True,
    **overrides: Unpack[Overrides],
) -> Results:
    """Search: train and measure candidates until the budget is spent.

    Args:
        study: the name or the path of a study, or a `Study`, whose space may be a function.
        data: folder with the files of data sets; default: "data". Data sets that come with searchlab need none.
        output: folder for the store and the artefacts of trials.
        runner: "local" (one trial after the other in this process) or "tune" (several at a time, on Ray).
        progress: whether to print progress messages.
        overrides: see `Overrides`.

    Raises:
        UserError: an argument is invalid, or the store already holds a study of that name; nothing was trained.
        KeyboardInterrupt: Ctrl-C, or a notebook's stop button. All results are kept; `resume` continues.
    """
    with in_python():
        _check_names(overrides, Overrides.__annotations__, "searchlab.run")
        request = _request(study, data, output, runner, overrides)
        plans = plans_for(request)
        if len(plans) > 1:
            known = ", ".join(plan.study.name for plan in plans)
            raise UserError(
                "several-studies",
                "the file holds several studies",
                value=str(study),
                allowed=f"run one of them: {known}",
            )
        plan = _continued(plans[0], request) if overrides.get("resume") and not request.smoke else plans[0]
        return _searched(plan, progress=progress)


def resume(
    study: Named | None = None,
    *,
    data: str | Path | None = None,
    output: str | Path = "runs",
    runner: str = "local",
    progress: bool = True,
    **overrides: Unpack[ResumeOverrides],
) -> Results:
    """Resume a study: first its unfinished trials, then new ones until the budget is spent.

    Args:
        study: its name in the store, the path of its file, or a `Study`; default: the study begun last.
        data: as in `run`.
        output: as in `run`.
        runner: as in `run`.
        progress: as in `run`.
        overrides: see `ResumeOverrides`; `trials` and `epochs_total` are new totals.

    Raises:
        UserError: an argument is invalid, the study is unknown, or its file or space has changed since it was begun.
        KeyboardInterrupt: as in `run`.
    """
    with in_python():
        _check_names(overrides, ResumeOverrides.__annotations__, "searchlab.resume")
        request = _request(study, data, output, runner, overrides)
        try:
            plan = resume_plan(request, force=overrides.get("force", False))
        except DefinitionChanged as changed:
            if progress:
                console().print("\n".join(changed.diff), markup=False, soft_wrap=True)
            raise
        return _searched(plan, progress=progress)


def open_study(
    name: str | None = None, output: str | Path = "runs", storage: str = "", *, data: str | Path | None = None
) -> Results:
    """Open the results of a study, which may still be running.

    Args:
        name: name of the study in the store; default: the study begun last.
        output: folder of the store.
        storage: URL of the store; default: the store in the output folder.
        data: folder with the files of data sets, where images are read again (`front(test=True)`).

    Raises:
        UserError: the store is missing, or the study is unknown.
    """
    with in_python():
        where = RunOptions(output=Path(output), storage=storage)
        if data is not None:
            where = RunOptions(
                root_of(str(data), [stored_study(name, where).definition.study]), False, where.output, storage
            )
        return Results(name, where)


def _check_names(given: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    for name in given:
        if name not in known:
            raise unknown("parameter", name, ["data", "output", "runner", "progress", *known], where=where)


def _request(
    study: Named | None, data: str | Path | None, output: str | Path, runner: str, overrides: Mapping[str, Any]
) -> Request:
    where: dict[str, Any] = {name: value for name, value in overrides.items() if name in WHERE}
    changed: dict[str, Any] = {name: value for name, value in overrides.items() if name in STUDY_FIELDS}
    if (sampler := changed.get("sampler")) is not None and is_file_name(sampler):
        changed["sampler"] = str(Path(sampler).expanduser().absolute())
    if (cluster := where.get("cluster")) is not None and runner != "tune":
        raise UserError(
            "conflicting-options",
            'needs runner="tune"',
            where="cluster",
            value=cluster.address,
            allowed="omit it",
        )
    options = RunOptions(output=Path(output), **where)
    return Request(
        study if study is None or isinstance(study, Study) else os.fspath(study),
        changed,
        None if data is None else os.fspath(data),
        None if (images := overrides.get("images")) is None else os.fspath(images),
        options,
        runner,
        overrides.get("smoke", False),
        overrides.get("warm_start"),
    )


def _continued(plan: Plan, request: Request) -> Plan:
    """Returns the plan to resume the study if the store holds one of that name; else the plan unchanged.

    Raises:
        UserError: an override differs from that of the stored study.
    """
    name = plan.study.name
    if name not in stored_names(plan.where):
        return plan
    check_kept(stored_study(name, plan.where), request.overrides)
    again = replace(request, study=replace(request.study, name=name) if isinstance(request.study, Study) else name)
    return resume_plan(again)


def _searched(plan: Plan, *, progress: bool) -> Results:
    name = plan.study.name
    try:
        search(plan, progress=progress)
    except NotBegun:
        raise KeyboardInterrupt("stopped before the study began: nothing was stored") from None
    except Interrupted:
        again = f'searchlab.resume("{name}")'
        if progress:
            console().print(f"Stopped. All results are kept. To continue: {again}", markup=False, soft_wrap=True)
        raise KeyboardInterrupt(f"all results are kept; to continue: {again}") from None
    return Results(name, plan.where, progress=progress)
