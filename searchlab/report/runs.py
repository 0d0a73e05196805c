"""The studies of a store as a table and as plain data; the effects of `remove` as text."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from searchlab.report import units
from searchlab.report.layout import FirstThatFits, Footer, plain_table, words
from searchlab.study_summary import FrontFigures, Stored, StoredStudy

FIRST = ("complete", "running", "interrupted")
"""Trial states in the order in which they are listed."""


def runs_view(stored: Stored, kept: str = "") -> RenderableType:
    """Returns one line per study; `kept` are the options of their place (" --output demo")."""
    if not stored.studies:
        what = f"No studies in {stored.storage}" if stored.exists else f"No store yet at {stored.storage}"
        return Footer((what, "searchlab run STUDY begins one", "see --output FOLDER and --storage URL"))
    columns = [words("study"), words("state"), words("trials", wrap_from=14), words("front", wrap_from=14)]
    columns += [words("changed")]
    rows = [_cells(study) for study in stored.studies]
    tables = tuple(plain_table(columns, rows, gap=gap) for gap in (3, 2, 1))
    looked = f"store {stored.storage}, artefacts in {stored.output}"
    return Group(FirstThatFits(tables), Text(""), *_details(stored), Footer((looked, *_next(stored, kept))))


def _cells(study: StoredStudy) -> list[str]:
    changed = f"{study.changed:%Y-%m-%d %H:%M}" if study.changed else units.NOTHING
    return [study.name, _standing(study), trial_words(study), front_words(study.front), changed]


def _standing(study: StoredStudy) -> str:
    return {"foreign": "not searchlab's", "newer": "newer version"}.get(study.standing, study.standing)


def _details(stored: Stored) -> list[RenderableType]:
    """Returns a line for every study with a remarkable state: who works on it, or what is damaged."""
    said = {"running": "is run by", "damaged": "is damaged:", "newer": "has"}
    lines = [
        Text(f"{study.name} {said[study.standing]} {study.detail}", style="bright_black")
        for study in stored.studies
        if study.standing in said and study.detail
    ]
    profiles = [
        Text(f"{study.name} has device profiles: {', '.join(study.profiles)}", style="bright_black")
        for study in stored.studies
        if study.profiles
    ]
    return [*lines, *profiles]


def _next(stored: Stored, kept: str) -> list[str]:
    interrupted = [study.name for study in stored.studies if study.standing == "interrupted"]
    if interrupted:
        return [f"next: searchlab resume {interrupted[0]}{kept}"]
    finished = [study.name for study in stored.studies if study.standing == "finished"]
    return [f"next: searchlab front {finished[0]}{kept}"] if finished else []


def trial_words(study: StoredStudy) -> str:
    """Returns "12 complete, 1 interrupted, 3 replicates"."""
    ordered = sorted(study.trials.items(), key=lambda item: FIRST.index(item[0]) if item[0] in FIRST else len(FIRST))
    parts = [f"{number} {state}" for state, number in ordered]
    if study.replicates:
        parts.append(units.counted(study.replicates, "replicate"))
    return ", ".join(parts) or units.NOTHING


def front_words(front: FrontFigures | None) -> str:
    """Returns "12 points, best 98.9 %, from 0.062 ms"."""
    if front is None:
        return units.NOTHING
    written = {
        "accuracy": lambda value: f"best {units.percent(value)}",
        "latency_ms": lambda value: f"from {units.milliseconds(value)}",
        "macs": lambda value: f"from {units.count(value)} MACs",
        "params": lambda value: f"from {units.count(value)} parameters",
    }
    return ", ".join([units.counted(front.points, "point"), *(written[name](v) for name, v in front.best.items())])


def runs_payload(stored: Stored) -> dict[str, Any]:
    """Returns all studies, last changed first, and the places that were searched. Times are local, in ISO 8601."""
    return {
        "storage": stored.storage,
        "output": str(stored.output),
        "exists": stored.exists,
        "studies": [_study_payload(study) for study in stored.studies],
    }


def _study_payload(study: StoredStudy) -> dict[str, Any]:
    return {
        "study": study.name,
        "state": study.standing,
        "detail": study.detail,
        "trials": study.trials,
        "replicates": study.replicates,
        "changed": _iso(study.changed),
        "profiles": list(study.profiles),
        "front": None if study.front is None else {"points": study.front.points, "best": study.front.best},
    }


def _iso(when: datetime | None) -> str | None:
    return None if when is None else when.astimezone().isoformat(timespec="seconds")


def removal_lines(study: StoredStudy, storage: str, megabytes: float, folder: Path) -> list[str]:
    """Lists what is removed with a study: trials, front, device profiles, files."""
    parts = [trial_words(study) if study.trials or study.replicates else "no trials"]
    if study.front:
        parts.append(f"a front of {front_words(study.front)}")
    if study.profiles:
        parts.append(f"{'profile' if len(study.profiles) == 1 else 'profiles'} {', '.join(study.profiles)}")
    if study.standing == "damaged":
        parts = [f"damaged: {study.detail}"]
    return [f"study {study.name} in {storage}: {', '.join(parts)}", f"its files in {folder}: {megabytes:.1f} MB"]


def kept_lines(kept: Mapping[Path, str]) -> list[str]:
    """Lists what stays in a study's folder, and why."""
    return [f"stays: {path} ({why})" for path, why in kept.items()]
