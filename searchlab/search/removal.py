"""Removes a study with its files. Deletes only files that searchlab wrote for this study.

Files are deleted before the study in the store. If the process dies in between, the same command continues. The other
order could leave files without a study.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from searchlab.errors import UserError, unknown
from searchlab.schema import REPLICATES
from searchlab.search.definition import NAME
from searchlab.search.driver_lock import LOCK, only_driver
from searchlab.search.outputs import FILE, owner_of
from searchlab.search.profiles import NAME as PROFILE_NAME
from searchlab.search.runs import UNREADABLE, check_schema, stored_study_of, study_names
from searchlab.search.storage import check_writable, open_storage, public, storage_errors
from searchlab.search.store import COMPANION
from searchlab.search.study_folder import IDENTITY
from searchlab.search.trial_attributes import plain_begun, plain_record
from searchlab.study import RunOptions
from searchlab.study_summary import StoredStudy
from searchlab.trial_files import RECORD, disk_errors, read_record

TRIAL_FOLDER = re.compile(r"trial-(\d{5,})")
REPLICATE_FOLDER = re.compile(r"trial-(\d{5,})-seed-\d+")
TUNE_FOLDER = re.compile(r"tune-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d")

WRITTEN = frozenset(
    {"weights.safetensors", "exit_table.npz", "candidate.json", "frontier.json", "latency.json", "curve.json"}
    | {"versions.json", "findings.json", "findings.part"}
)
"""Files of a trial's folder before its record exists, besides features; of earlier versions too."""

PLOTS = frozenset(
    f"{name}.{end}"
    for name in ("front", "convergence", "hypervolume", "importance", "replicates", "profiles")
    for end in ("html", "png")
)
"""Files that `searchlab plot` writes beside the trials."""

PROFILE_PLOT = re.compile(rf"front-{PROFILE_NAME}\.(html|png)")
"""The front of a device profile, of `searchlab plot --profile NAME`."""

Signatures = dict[int, tuple[Any, Any] | None]
"""Candidate and seed of every trial by its number; None if unknown."""


Entry = tuple[Path, re.Pattern[str], Signatures]
"""A path in a study's folder, the naming pattern of trials there, and the known trials."""


@dataclass(frozen=True)
class Removal:
    """Plan of a removal: the stored study, its files below `folder`, and what stays there, and why."""

    study: StoredStudy
    folder: Path
    files: tuple[Path, ...]
    kept: dict[Path, str] = field(default_factory=dict)

    @property
    def megabytes(self) -> float:
        """Size of its files in 1e6 bytes."""
        return sum(each.stat().st_size for path in self.files for each in _all_files(path)) / 1e6


def planned(name: str, options: RunOptions) -> Removal:
    """Plans a removal without changes.

    Raises:
        UserError: the store is missing or read-only, or the study is unknown or not of searchlab.
    """
    url = options.storage_url
    storage = open_storage(url, create=False)
    names = study_names(storage, url)
    known = [each for each in names if not each.endswith(COMPANION)]
    if name not in known:
        raise unknown("study", name, known, where=public(url))
    check_writable(storage, url)
    study = stored_study_of(storage, name, names)
    if study.standing == "foreign" or not re.fullmatch(NAME, name):
        what, mend = f"study {name!r} was not created by searchlab", "`optuna delete-study` removes it"
        raise UserError("foreign-study", what, where=public(url), allowed=mend)
    if study.standing == "newer":
        check_schema(name, options)
    if study.standing == "running":
        raise _at_work(name, study.detail)
    folder = options.output / name
    if _is_anothers(folder, storage, name):
        return Removal(study, folder, (), {folder: "of another study, according to its study.json"})
    with disk_errors(folder):
        files, kept = _files(folder, _signatures(storage, name), _signatures(storage, name + COMPANION))
    return Removal(study, folder, tuple(files), kept)


def remove(name: str, options: RunOptions) -> Removal:
    """Removes a study with its files; returns what was removed.

    Raises:
        UserError: as `planned`; or a process is running the study, or its files cannot be deleted.
    """
    url = options.storage_url
    found = planned(name, options)
    with only_driver(name, options):
        storage = open_storage(url, create=False)
        # Another process may have begun in the meantime.
        found = planned(name, options)
        with disk_errors(found.folder):
            for path in found.files:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        with storage_errors(url):
            for each in (name + COMPANION, name):
                if each in study_names(storage, url):
                    optuna.delete_study(study_name=each, storage=storage)
        if found.folder not in found.kept:
            with disk_errors(found.folder):
                _leave(found.folder)
    return found


def _is_anothers(folder: Path, storage: BaseStorage, name: str) -> bool:
    """Whether a folder belongs to another study, which may have equal trials (same name and seed).

    Raises:
        UserError: the file that identifies the study is damaged.
    """
    owner = owner_of(folder)
    try:
        identity = storage.get_study_user_attrs(storage.get_study_id_from_name(name)).get(IDENTITY)
    except UNREADABLE:
        # Compare the trials instead.
        identity = None
    return owner is not None and identity is not None and owner.identity != identity


def _at_work(name: str, who: str) -> UserError:
    return UserError(
        "study-running", f"{who} is running this study", where=f"study {name}", allowed="wait for it, or end it"
    )


def _leave(folder: Path) -> None:
    """Removes the lock, and the folder if nothing else is left in it."""
    (folder / LOCK).unlink(missing_ok=True)
    replicates = folder / REPLICATES
    if not any(folder.glob("trial-*")):
        (folder / FILE).unlink(missing_ok=True)
    for each in (replicates, folder):
        if each.is_dir() and not each.is_symlink() and not any(each.iterdir()):
            each.rmdir()


def _signatures(storage: BaseStorage, name: str) -> Signatures:
    """Returns the identities of a study's trials; none if there is no such study."""
    try:
        study_id = storage.get_study_id_from_name(name)
    except KeyError:
        return {}
    try:
        return {trial.number: _signature(trial) for trial in storage.get_all_trials(study_id, deepcopy=False)}
    except UNREADABLE:
        return _one_by_one(storage, study_id)


def _one_by_one(storage: BaseStorage, study_id: int) -> Signatures:
    """Returns the identities if a trial is damaged, read one by one."""
    found: Signatures = {}
    for number in count():
        try:
            trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, number)
        except KeyError:
            return found
        try:
            found[number] = _signature(storage.get_trial(trial_id))
        except UNREADABLE:
            found[number] = None
    raise AssertionError("trials end")


def _signature(trial: FrozenTrial) -> tuple[Any, Any] | None:
    known = plain_record(trial) or plain_begun(trial)
    return None if known is None else (known["candidate"], known["seed"])


def _files(folder: Path, trials: Signatures, again: Signatures) -> tuple[list[Path], dict[Path, str]]:
    """Returns the study's own files in its folder, and other files with the reason why they stay."""
    files: list[Path] = []
    kept: dict[Path, str] = {}
    if not folder.is_dir():
        return files, kept
    for path, pattern, known in _entries(folder, trials, again):
        reason = _stays(path, pattern, known)
        if reason:
            kept[path] = reason
        else:
            files.append(path)
    return files, kept


def _entries(folder: Path, trials: Signatures, again: Signatures) -> Iterator[Entry]:
    for path in sorted(folder.iterdir()):
        if path.name == REPLICATES and path.is_dir() and not path.is_symlink():
            yield from ((each, REPLICATE_FOLDER, again) for each in sorted(path.iterdir()))
        elif path.name not in (LOCK, FILE):
            yield path, TRIAL_FOLDER, trials


def _stays(path: Path, pattern: re.Pattern[str], known: Signatures) -> str:
    """Returns why an entry of the folder is not deleted; "" if it is the study's."""
    if path.is_symlink():
        return "a link"
    if not path.is_dir():
        plot = path.name in PLOTS or PROFILE_PLOT.fullmatch(path.name)
        return "" if plot and pattern is TRIAL_FOLDER else "not written by searchlab"
    if pattern is TRIAL_FOLDER and TUNE_FOLDER.fullmatch(path.name):
        return ""
    matched = pattern.fullmatch(path.name)
    if not matched:
        return "not written by searchlab"
    if not (path / RECORD).exists():
        strange = [each.name for each in path.iterdir() if each.name not in WRITTEN and not _is_scratch(each)]
        return f"holds {strange[0]}, which searchlab did not write" if strange else ""
    try:
        record = read_record(path)
        signature = record["candidate"], record["seed"]
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return "its record cannot be read"
    # The folder of a replicate has the number of the trial that it repeats.
    owners = [known.get(int(matched[1]))] if pattern is TRIAL_FOLDER else list(known.values())
    if signature in owners:
        return ""
    return "its trial in the store cannot be read" if None in owners else "of another study"


def _is_scratch(path: Path) -> bool:
    return path.is_dir() and path.name.startswith("features-")


def _all_files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (each for each in path.rglob("*") if each.is_file() and not each.is_symlink())
    else:
        yield path
