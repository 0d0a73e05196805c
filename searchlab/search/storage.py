"""Optuna's storages: opened, made quick, and their complaints in one line for the user."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy.event
import sqlalchemy.exc
from optuna.storages import BaseStorage, RDBStorage

from searchlab.errors import UserError

WAITS_FOR_LOCK_S = 20.0
"""So long a SQLite store that another process is writing to is waited for."""


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turns what a database complains about into one line for the user."""
    try:
        yield
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

    A process that dies loses nothing; a power cut may take the last commits, never the file.
    """

    def prepare(connection: Any, _: object) -> None:
        # A store that may only be read, or is locked just now, stays as it is.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")

    if storage.engine.dialect.name == "sqlite":
        sqlalchemy.event.listen(storage.engine, "connect", prepare)
        # Connections made so far are not prepared.
        storage.remove_session()
        storage.engine.dispose()
    return storage


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder: {error.strerror}", where=str(folder)) from error
