"""Schema of stored data: every stored dict has a version; older ones are upgraded when read.

Upgrades are pure functions on plain data, so that they stay as they are while the nouns change.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

from searchlab.errors import UserError

SCHEMA = 1
"""Current version. Dicts without a version have version 0."""

KEY = "schema"
"""Key of a stored dict with its version."""

Plain = dict[str, Any]

REPLICATES = "replicates"
"""Folder within a study's folder for the folders of its replicates."""


def versioned(plain: Mapping[str, Any]) -> Plain:
    """Converts a noun to its stored form: the schema version first, then its fields."""
    return {KEY: SCHEMA, **plain}


def version_of(plain: Mapping[str, Any], where: str) -> int:
    """Returns the schema version of a stored dict.

    Raises:
        UserError: the version is invalid, or newer than this searchlab.
    """
    version = plain.get(KEY, 0)
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        raise UserError("store-damaged", "invalid schema version", where=where, value=version, allowed=f"0 to {SCHEMA}")
    if version > SCHEMA:
        raise newer(version, where)
    return version


def newer(version: int, where: str) -> UserError:
    """Makes the error for data of a newer searchlab."""
    mend = f"this one reads schema versions up to {SCHEMA}: update searchlab; nothing was changed"
    return UserError(
        "store-newer",
        f"written by a newer version of searchlab, with schema version {version}",
        where=where,
        allowed=mend,
    )


def is_newer(plain: object) -> bool:
    """Whether a stored dict has a newer schema than this searchlab."""
    version = plain.get(KEY, 0) if isinstance(plain, dict) else 0
    return isinstance(version, int) and version > SCHEMA


def upgraded(kind: str, plain: Mapping[str, Any], where: str) -> Plain:
    """Upgrades a stored dict to the fields of the noun `kind` today, without its version.

    Raises:
        UserError: as `version_of`.
    """
    found = {key: value for key, value in plain.items() if key != KEY}
    for version in range(version_of(plain, where), SCHEMA):
        if step := UPGRADES[version].get(kind):
            found = step(found)
    return found


def divided(directory: str) -> tuple[str, str]:
    """A trial's folder as the output folder and the path below it, with slashes: "NAME/trial-00003".

    A replicate's is "NAME/replicates/trial-00003-seed-1".
    """
    path = PurePath(directory)
    # A study may be called "replicates", too.
    depth = 3 if path.parent.name == REPLICATES and re.search(r"-seed-\d+$", path.name) else 2
    return str(PurePath(*path.parts[:-depth])), PurePath(*path.parts[-depth:]).as_posix()


def unnamed(index: int) -> str:
    """Name of an enqueued configuration without one: "#1" for the first."""
    return f"#{index + 1}"


def is_unnamed(name: str) -> bool:
    """Whether a name is one of `unnamed`."""
    return bool(re.fullmatch(r"#\d+", name))


# -- from version 0, without versions

RENAMED_AFTER_0 = {"table": "paper", "levels": "thresholds_per_exit"}
"""Renamed fields of version 0: old name to new name."""


def _study_0(plain: Plain) -> Plain:
    found = {RENAMED_AFTER_0.get(key, key): value for key, value in plain.items() if key != "rows"}
    enqueue, rows = plain.get("enqueue"), plain.get("rows") or ()
    if isinstance(enqueue, list):
        names = rows if len(rows) == len(enqueue) else map(unnamed, range(len(enqueue)))
        found["enqueue"] = dict(zip(names, enqueue, strict=True))
    return found


def _definition_0(plain: Plain) -> Plain:
    return plain | {key: _study_0(plain[key]) for key in ("study", "written") if isinstance(plain.get(key), dict)}


def _record_0(plain: Plain) -> Plain:
    """Moves facts about the data to one field; makes the folder relative to the output folder, whose path is its id."""
    left = {key: value for key, value in plain.items() if key not in ("data_hash", "images", "directory")}
    known = {"hash": plain.get("data_hash", ""), "images": plain.get("images")}
    if not plain.get("directory"):
        return left | {"data": known}
    output, directory = divided(plain["directory"])
    return left | {"data": known, "output": output, "directory": directory}


UPGRADES: dict[int, dict[str, Callable[[Plain], Plain]]] = {
    0: {"Study": _study_0, "Definition": _definition_0, "TrialRecord": _record_0},
}
"""Version to the steps to the next one, by noun; other nouns did not change."""
