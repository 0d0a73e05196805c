"""Ownership of folders: a small file in a study's folder identifies the study that writes there.

A study has a unique identity, independent of its name and store. Each of its drivers may have its own folder.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

from searchlab.candidate import Candidate
from searchlab.errors import UserError
from searchlab.record import TrialRecord
from searchlab.search.attributes import read_noun, write_noun
from searchlab.search.outputs import FILE, OUTPUT, Owner, SeenOutput, owner_of
from searchlab.search.storage import public, sqlite_file, storage_errors
from searchlab.search.store import StudyStore
from searchlab.serialization import from_plain, to_plain
from searchlab.trial_files import RECORD, WEIGHTS, disk_errors, read_record

IDENTITY = "identity"
"""User attribute of a study with its identity, which is also in `outputs.FILE` in its folders."""


def identity_of(store: StudyStore) -> str:
    """Returns the identity of a study; "" if it has none and no trial yet.

    In old stores it is derived from the start of the first trial, so that all drivers agree.
    """
    with storage_errors(store.url):
        attributes = store.optuna.user_attrs
    if IDENTITY in attributes:
        return str(attributes[IDENTITY])
    began = next((trial.datetime_start for trial in store.trials() if trial.number == 0), None)
    signature = f"{store.optuna.study_name} {began and began.isoformat()}"
    return hashlib.blake2s(signature.encode(), digest_size=16).hexdigest() if began else ""


def claim(folder: Path, store: StudyStore, records: Sequence[TrialRecord]) -> None:
    """Claims a folder, locked by the caller, for a study; trials of these records may already be there.

    Raises:
        UserError: the folder holds trials of another study, or cannot be written.
    """
    identity = identity_of(store)
    with storage_errors(store.url):
        if IDENTITY not in store.optuna.user_attrs:
            store.optuna.set_user_attr(IDENTITY, identity or uuid4().hex)
    owner = owner_of(folder)
    known = owner is not None and owner.identity == identity_of(store)
    output = owner.output if owner and known and owner.output else uuid4().hex[:12]
    ours = Owner(identity_of(store), store.optuna.study_name, _named(store.url), output)
    if owner == ours:
        _note_output(store, output, folder.parent)
        return
    trials = list(_trials_in(folder))
    # A folder of an earlier version has no such file: it belongs to the study of its trials.
    adopted = owner is None and any(_is_of(path, records) for path in trials)
    if trials and not known and not adopted:
        raise _of_another(folder, owner)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f"{FILE}.part"
        unfinished.write_text(json.dumps(to_plain(ours), indent=1))
        unfinished.replace(folder / FILE)
    _note_output(store, output, folder.parent)


def release(folder: Path, store: StudyStore) -> None:
    """Releases the folder of a study that will be deleted, if the study owns it."""
    owner = owner_of(folder)
    if owner is not None and owner.identity == identity_of(store):
        with disk_errors(folder):
            (folder / FILE).unlink(missing_ok=True)


def check_free(folder: Path) -> None:
    """Checks that a new study may write to a folder.

    Raises:
        UserError: it holds trials of another study.
    """
    if any(_trials_in(folder)):
        raise _of_another(folder, owner_of(folder))


def _of_another(folder: Path, owner: Owner | None) -> UserError:
    return UserError(
        "folder-of-another-study",
        "the folder holds trials of another study",
        where=str(folder),
        value=owner.store if owner else None,
        allowed="choose another --output or --name, or move the folder away",
    )


def _note_output(store: StudyStore, output: str, path: Path) -> None:
    """Stores the path of an output folder, for drivers with another one."""
    name, seen = f"{OUTPUT}{output}", SeenOutput.now(path)
    with storage_errors(store.url):
        attributes = store.optuna.user_attrs
        if name not in attributes or read_noun(SeenOutput, attributes, name, store.where) != seen:
            write_noun(store.optuna.set_user_attr, name, seen)


def check_folder(folder: Path, store: StudyStore) -> None:
    """Checks that a folder is free or belongs to the study.

    Raises:
        UserError: it belongs to another study.
    """
    owner = owner_of(folder)
    if owner is not None and owner.identity != identity_of(store):
        raise UserError(
            "folder-of-another-study",
            "the folder belongs to another study",
            where=str(folder),
            value=owner.store,
            allowed=f"not to study {store.optuna.study_name} of {_named(store.url)}: see --storage and --output",
        )


def check_artefacts(store: StudyStore, records: Sequence[TrialRecord]) -> None:
    """Checks that the files in the folders of trials are theirs; missing folders are ignored.

    Raises:
        UserError: a folder belongs to another study, or another study overwrote it.
    """
    for folder in sorted({Path(record.directory).parent for record in records if record.directory}):
        check_folder(folder, store)
    for record in records:
        folder = Path(record.directory)
        if record.directory and (folder / RECORD).is_file() and not _is_of(folder, [record]):
            where = f"trial {record.number} of study {store.optuna.study_name}"
            mend = "restore it from a copy, or run the study again under another --name or --output"
            raise UserError(
                "folder-of-another-study",
                "another study wrote into the trial's folder",
                where=where,
                value=str(folder),
                allowed=mend,
            )


def check_present(store: StudyStore, records: Sequence[TrialRecord]) -> None:
    """Checks that the networks of trials exist, in this output folder or in another driver's.

    Raises:
        UserError: one is missing; the error gives its original folder.
    """
    for record in records:
        if is_missing(record):
            seen = store.codec.outputs.seen.get(record.output)
            written = f"written to {seen.path} on {seen.host}: " if seen else ""
            raise UserError(
                "artefact-unreadable",
                "artefacts are missing",
                where=f"trial {record.number} of study {store.optuna.study_name}",
                value=record.directory,
                allowed=f"{written}restore that folder from a copy, or give the --output that holds it",
            )


def is_missing(record: TrialRecord) -> bool:
    """Whether the network of a trial is missing."""
    return bool(record.directory) and not (Path(record.directory) / WEIGHTS).is_file()


def _trials_in(folder: Path) -> Iterator[Path]:
    """Yields the folders of trials and replicates with a record."""
    return (path.parent for path in (*folder.glob(f"trial-*/{RECORD}"), *folder.glob(f"replicates/trial-*/{RECORD}")))


def _is_of(folder: Path, records: Sequence[TrialRecord]) -> bool:
    """Whether a trial's folder was written by one of these trials: same number, candidate and seed."""
    try:
        written = read_record(folder)
        signature = written["number"], from_plain(Candidate, written["candidate"]), written["seed"]
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return False
    return any(signature == (record.number, record.candidate, record.seed) for record in records)


def _named(url: str) -> str:
    """Formats a store's URL with an absolute path."""
    file = sqlite_file(url)
    return public(url) if file is None else f"sqlite:///{file.absolute()}"
