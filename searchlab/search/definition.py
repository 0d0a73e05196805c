"""Definition of a study in the store: which fields may change, and the diff between two definitions."""

import ast
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.study import StudyDirection

from searchlab.errors import UserError
from searchlab.schema import version_of
from searchlab.search.attributes import read
from searchlab.serialization import to_plain
from searchlab.study import BUDGET_FIELDS, Study

NAME = r"\w[\w.+-]*"
"""Valid study names; a study's folder has the same name."""

DEFINED = "searchlab"
"""User attribute of a study with its definition."""


@dataclass(frozen=True)
class Definition:
    """Definition: the study as it runs, as its file (at `path`) wrote it before overrides, and the space's text.

    The texts of other files of the user's are in `study.files`.
    """

    study: Study
    written: Study
    space_text: str
    path: str = ""

    @property
    def file(self) -> Path | None:
        """The path of the study's file; None for a study without one."""
        return Path(self.path) if self.path else None

    def changes(self, other: "Definition") -> list[str]:
        """Returns the lines of a diff to another definition, without budgets; empty if they are the same study.

        Spaces are compared by text: a moved or renamed space is unchanged.
        """
        here, there = _texts(self), _texts(other)
        if here["space"] == there["space"]:
            here["study"], there["study"] = (_without_space(each["study"]) for each in (here, there))
        return [line for name in dict.fromkeys([*here, *there]) for line in _diff(name, here, there)]


def check_attributes(attributes: Mapping[str, Any], where: str) -> None:
    """Raises UserError where a newer searchlab wrote the study that has these attributes."""
    plain = read(attributes, DEFINED, where) if DEFINED in attributes else None
    if isinstance(plain, dict):
        version_of(plain, where)


def _texts(definition: Definition) -> dict[str, list[str]]:
    """Returns the lines of every part of a definition."""
    plain = to_plain(definition.written)
    kept = {key: value for key, value in plain.items() if key not in {*BUDGET_FIELDS, "files"}}
    return {
        "study": [f"{key} = {json.dumps(value)}" for key, value in kept.items()],
        "space": _lines(definition.space_text),
        **{file.name: _lines(file.text) for file in definition.study.files},
    }


def _lines(text: str) -> list[str]:
    """Returns the lines of a file without its imports from searchlab, which may change between versions."""
    lines = text.splitlines()
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return lines
    ours = {
        line
        for node in body
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "searchlab"
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return [line for number, line in enumerate(lines, start=1) if number not in ours]


def _without_space(fields: list[str]) -> list[str]:
    return [line for line in fields if not line.startswith("space = ")]


def _diff(name: str, here: dict[str, list[str]], there: dict[str, list[str]]) -> list[str]:
    lines = difflib.unified_diff(
        here.get(name, []), there.get(name, []), f"{name}, stored", f"{name}, now", lineterm="", n=1
    )
    return [line for line in lines if not line.startswith("@@")]


def check_objectives(before: Study, now: Study, directions: Sequence[StudyDirection]) -> None:
    """Checks that a study still has its objectives in their order, like the values of its trials.

    Raises:
        UserError: it has other objectives.
    """
    same = before.objectives == now.objectives
    if len(before.objectives) != len(directions):
        # An earlier version could store a definition that does not fit the trials; a fitting one repairs it.
        same = [o.direction for o in now.objectives] == [direction.name.lower() for direction in directions]
    if not same:
        where, value = f"study {now.name}", ", ".join(objective.name for objective in now.objectives)
        so_far = ", ".join(objective.name for objective in before.objectives)
        allowed = f"so far {so_far}; `searchlab run` with --name NAME begins another study"
        raise UserError(
            "definition-changed", "objectives of a study cannot change", where=where, value=value, allowed=allowed
        )
