"""Optuna's storages: opened, made quick, and their complaints in one line for the user."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
import sqlalchemy.event
import sqlalchemy.exc
from optuna.storages import BaseStorage, RDBStorage

from searchlab.errors import UserError
from searchlab.search.attributes import damaged

WAITS_FOR_LOCK_S = 20.0
"""So long a SQLite store that another process is writing to is waited for."""


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turns what a database complains about into one line for the user."""
    try:
        yield
    except json.JSONDecodeError as error:
        raise _no_json(url) from error
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
        text = str(getattr(cause, "orig", cause)).splitlines()[0]
        hints = {
            "locked": "another process is writing to it: wait for it, or end it",
            "not a database": "the file is damaged or no SQLite file: move it away, or restore it",
            "malformed": "the file is damaged: restore it, or try `sqlite3 FILE .recover`",
            "unable to open": "does the folder exist, and may you write there?",
            "full": "the disk is full: make room, then resume",
            "readonly": "you may not write there",
        }
        hint = next((mend for word, mend in hints.items() if word in text), "is the URL right, and the server up?")
        raise UserError(f"cannot use the store: {text}", where=public(url), allowed=hint) from error


ATTRIBUTES = {
    "trial": "SELECT trials.number, key, value_json FROM trial_{kind}_attributes JOIN trials USING (trial_id)",
    "study": "SELECT study_name, key, value_json FROM study_{kind}_attributes JOIN studies USING (study_id)",
}
"""Where Optuna keeps attributes in its tables, those of users and its own."""


def _no_json(url: str) -> UserError:
    """The error for a store with an attribute that Optuna cannot read, which it does not name."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        for owner, query in ATTRIBUTES.items():
            for kind in ("user", "system"):
                for number, name, text in connection.execute(sqlalchemy.text(query.format(kind=kind))):
                    try:
                        json.loads(text)
                    except ValueError as error:
                        return damaged(f"{public(url)}: {owner} {number}", name, str(error))
    return UserError("the store is damaged: a value in it is no JSON", where=public(url), allowed="restore a copy")


def public(url: str) -> str:
    """A storage URL without its password, to be shown."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)


def open_storage(url: str, *, create: bool) -> BaseStorage:
    """Optuna's storage at a URL.

    Raises:
        UserError: the store is absent (and not to be created), corrupt, locked, or no storage URL.
    """
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        if not create and not path.is_file():
            raise UserError(
                "no store", where=str(path), allowed="`searchlab run STUDY` makes one; see --output, --storage"
            )
        if create:
            _make_folder(path.parent)
    with storage_errors(url):
        try:
            waits = {"connect_args": {"timeout": WAITS_FOR_LOCK_S}} if url.startswith("sqlite") else {}
            return _committing_fast(RDBStorage(url, engine_kwargs=waits))
        except ImportError as error:
            mend = "pip install 'searchlab[postgresql]', or the driver of your database"
            raise UserError(
                "its driver is not installed", where="--storage", value=public(url), allowed=mend
            ) from error
        except (sqlalchemy.exc.ArgumentError, ValueError) as error:
            allowed = "such as sqlite:///FILE.db"
            raise UserError("no storage URL", where="--storage", value=public(url), allowed=allowed) from error
        except RuntimeError as error:
            raise UserError(str(error), where=public(url), allowed="it is of another version of Optuna") from error


def _committing_fast(storage: RDBStorage) -> RDBStorage:
    """On SQLite, a log beside the file instead of two disk flushes for each of a trial's twenty commits.

    A process that dies loses nothing; a power cut may take the last commits, never the file. The log is in memory that
    all who use the file share, which machines cannot: on a network file system there is none.
    """
    journal = "DELETE" if _is_remote(Path(storage.engine.url.database or "")) else "WAL"

    def prepare(connection: Any, _: object) -> None:
        # A store that may only be read, or is locked just now, stays as it is.
        with suppress(sqlite3.OperationalError):
            connection.execute(f"PRAGMA journal_mode={journal}")
            connection.execute("PRAGMA synchronous=NORMAL")

    if storage.engine.dialect.name == "sqlite":
        sqlalchemy.event.listen(storage.engine, "connect", prepare)
        # Connections made so far are not prepared.
        storage.remove_session()
        storage.engine.dispose()
    return storage


_MOUNTS = Path("/proc/self/mounts")
REMOTE = re.compile(r"(nfs|cifs|smb|9p|afs|beegfs|ceph|gpfs|lustre|fuse\.(sshfs|glusterfs|s3fs|gcsfuse|rclone)).*")
"""Kinds of file systems that several machines may use at once."""


def _is_remote(file: Path) -> bool:
    """Whether a file lies, or would lie, on a network file system; Linux alone says so."""
    mounts = _MOUNTS.read_text().splitlines() if _MOUNTS.exists() else []
    kinds = {place.replace("\\040", " "): kind for _, place, kind, *_ in map(str.split, mounts)}
    around = [str(folder) for folder in file.resolve().parents]
    return bool(REMOTE.fullmatch(next((kinds[folder] for folder in around if folder in kinds), "")))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder: {error.strerror}", where=str(folder)) from error
