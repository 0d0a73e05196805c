"""Lists the studies of a store. Reads raw attributes: counting needs no validated records."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import optuna
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState

from searchlab.errors import UserError
from searchlab.front.pareto import non_dominated
from searchlab.schema import KEY, is_newer
from searchlab.search.attributes import read, upgraded_to
from searchlab.search.definition import DEFINED, Definition, check_attributes
from searchlab.search.heartbeat import is_left, living
from searchlab.search.profiles import profile_names
from searchlab.search.storage import is_absent, open_storage, public, storage_errors
from searchlab.search.store import COMPANION, ENDED, stored_names
from searchlab.search.trial_attributes import CANDIDATE, plain_record
from searchlab.search.unfinished import is_stub
from searchlab.serialization import from_plain
from searchlab.study import OTHER_BUDGETS, RunOptions, Study
from searchlab.study_summary import FrontFigures, Standing, Stored, StoredStudy

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, UserError)
"""Exceptions from attributes with unexpected content."""

OPTUNA_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "begun",
}
"""State names for trials of studies that searchlab did not create; waiting trials are not counted."""


def stored(options: RunOptions) -> Stored:
    """Lists the studies of a store; none if it does not exist yet.

    Raises:
        UserError: the store cannot be reached or opened.
    """
    url = options.storage_url
    if is_absent(url):
        return Stored(public(url), options.output, exists=False)
    storage = open_storage(url, create=False)
    names = study_names(storage, url)
    studies = [stored_study_of(storage, name, names) for name in names if not _is_companion(name, names)]
    ordered = sorted(studies, key=lambda study: study.changed or datetime.min, reverse=True)
    return Stored(public(url), options.output, exists=True, studies=tuple(ordered))


def check_schema(name: str, options: RunOptions) -> None:
    """Raises UserError where the store holds a study of that name that a newer searchlab wrote."""
    if name in stored_names(options):
        url = options.storage_url
        with storage_errors(url):
            attributes = optuna.load_study(study_name=name, storage=open_storage(url, create=False)).user_attrs
        check_attributes(attributes, f"{public(url)}: study {name}")


def study_names(storage: BaseStorage, url: str) -> list[str]:
    """Returns every study's name, including companions; Optuna would read, and fail on, all attributes for it."""
    with storage_errors(url):
        if not isinstance(storage, RDBStorage):
            return optuna.get_all_study_names(storage)
        with storage.engine.connect() as connection:
            found = connection.execute(sqlalchemy.text("SELECT study_name FROM studies ORDER BY study_id"))
            return [str(row[0]) for row in found]


def _is_companion(name: str, names: Sequence[str]) -> bool:
    return name.endswith(COMPANION) and name.removesuffix(COMPANION) in names


def stored_study_of(storage: BaseStorage, name: str, names: Sequence[str]) -> StoredStudy:
    """Summarises one study of a store; an unreadable one is reported as damaged."""
    try:
        study_id = storage.get_study_id_from_name(name)
        attributes = storage.get_study_user_attrs(study_id)
        trials = storage.get_all_trials(study_id, deepcopy=False)
        changed = _changed(trials)
        if is_stub(attributes, trials):
            return StoredStudy(name, "interrupted", f"not started: searchlab run {name}")
        if DEFINED not in attributes:
            counts = Counter(OPTUNA_STATES[trial.state] for trial in trials if trial.state in OPTUNA_STATES)
            return StoredStudy(name, "foreign", "not created by searchlab", dict(counts), 0, changed)
        plain = read(attributes, DEFINED, name)
        if is_newer(plain):
            return StoredStudy(name, "newer", f"schema version {plain[KEY]}: update searchlab", changed=changed)
        companion = name + COMPANION
        again_id = storage.get_study_id_from_name(companion) if companion in names else None
        signs = living(attributes)
        again = [] if again_id is None else storage.get_all_trials(again_id, deepcopy=False)
        if again_id is not None:
            signs |= living(storage.get_study_user_attrs(again_id))
        study = from_plain(Study, upgraded_to(Definition, plain, name)["study"])
        states = Counter(state for trial in trials if (state := _state(trial, signs)))
        workers = ", ".join(sorted(f"process {sign.pid} on {sign.host}" for sign in signs.values()))
        standing, detail = standing_of(study, states, attributes.get(ENDED))
        if signs:
            standing, detail = "running", workers
        repeated = sum(trial.state.is_finished() for trial in again)
        figures = front_figures(study, [plain_record(trial) for trial in trials])
        found = StoredStudy(name, standing, detail, dict(states), repeated, _changed([*trials, *again]), figures)
        return replace(found, profiles=profile_names(attributes))
    except UNREADABLE as error:
        return StoredStudy(name, "damaged", " ".join(str(error).split()) or type(error).__name__)
    finally:
        # Otherwise SQLAlchemy keeps what it has read.
        storage.remove_session()


def standing_of(study: Study, states: Mapping[str, int], ended_by: str | None) -> tuple[Standing, str]:
    """Returns the status of a study without a process, and why it ended, if it did.

    `ended_by` is the reason that the driver stored; "" if it was interrupted. Older stores have none.
    """
    if ended_by:
        return "finished", ended_by
    left = states.get("running", 0) + states.get("interrupted", 0)
    if ended_by is None and not left:
        ended, most = sum(states.values()), study.most_trials
        if most is not None and ended >= most:
            return "finished", f"{ended} of {most} trials"
        if ended and any(getattr(study, name) is not None for name in OTHER_BUDGETS):
            return "finished", ""
    return "interrupted", ""


def front_figures(study: Study, records: Sequence[Mapping[str, Any] | None]) -> FrontFigures | None:
    """Returns the front of all complete trials, like `front.points.study_front`; None without any."""
    points = [
        point
        for record in records
        if record is not None and record["state"] == "complete" and record["frontier"]
        for point in record["frontier"]["points"]
        if point["correct"] / point["samples"] >= study.min_accuracy
    ]
    rows = [[_value(point, objective.name) for objective in study.objectives] for point in points]
    signs_M = np.asarray([objective.sign for objective in study.objectives])
    values_PM = np.asarray(rows, dtype=np.float64).reshape(len(points), len(signs_M)) * signs_M
    values_PM = values_PM[np.all(np.isfinite(values_PM), axis=1)]
    if not len(values_PM):
        return None
    front_FM = values_PM[non_dominated(values_PM)]
    best_M = front_FM.min(axis=0) * signs_M
    names = [objective.name for objective in study.objectives]
    return FrontFigures(len(front_FM), dict(zip(names, map(float, best_M), strict=True)))


def _value(point: Mapping[str, Any], name: str) -> float:
    if name == "accuracy":
        return float(point["correct"] / point["samples"])
    # None if it was never measured.
    return float("nan") if point[name] is None else float(point[name])


def _state(trial: FrozenTrial, alive: Mapping[str, Any]) -> str:
    """Returns the state of a trial; "" for waiting trials and repeats of another, which are not shown."""
    record = plain_record(trial)
    if record is not None:
        return str(record["state"])
    if trial.state != TrialState.RUNNING or CANDIDATE not in trial.user_attrs:
        return ""
    return "interrupted" if is_left(trial, alive) else "running"


def _changed(trials: Sequence[FrozenTrial]) -> datetime | None:
    times = [time for trial in trials for time in (trial.datetime_start, trial.datetime_complete) if time]
    return max(times, default=None)
