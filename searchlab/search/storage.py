"""Optuna storages: opening, SQLite settings, and errors in one line."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
import sqlalchemy.event
import sqlalchemy.exc
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import StaticPool

from searchlab.errors import UserError
from searchlab.search.attributes import damaged
from searchlab.search.new_folders import new_folders, remove_empty
from searchlab.search.optuna_log import quieten
from searchlab.search.read_only import copied, may_write

WAITS_FOR_LOCK_S = 20.0
"""Timeout in seconds for a SQLite store that another process writes to."""


_COPY_IT = "copy it and the files beside it to a writable folder, and give the copy as --storage URL"


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turns database errors into one line for the user."""
    try:
        yield
    except json.JSONDecodeError as error:
        raise _no_json(url) from error
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError, sqlite3.Error) as error:
        cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
        text = str(getattr(cause, "orig", cause)).splitlines()[0]
        hints = {
            "locked": "another process is writing to it: wait for it, or end it",
            "not a database": "the file is damaged, or not an SQLite file: move it away, or restore it",
            "malformed": "the file is damaged: restore it, or try `sqlite3 FILE .recover`",
            "unable to open": "check that the folder exists, and its permissions",
            "full": "the disk is full: free disk space, then resume",
            "readonly": _COPY_IT,
        }
        hint = next(
            (mend for word, mend in hints.items() if word in text), "check the URL, and that the server is running"
        )
        raise UserError(
            "store-read-only" if hint == _COPY_IT else "store-unusable",
            f"cannot use the store: {text}",
            where=public(url),
            allowed=hint,
        ) from error


ATTRIBUTES = {
    "trial": "SELECT trials.number, key, value_json FROM trial_{kind}_attributes JOIN trials USING (trial_id)",
    "study": "SELECT study_name, key, value_json FROM study_{kind}_attributes JOIN studies USING (study_id)",
}
"""Optuna's tables of attributes, of users and its own."""

DRIVERS = {
    "postgresql": "pip install 'searchlab[postgresql]'",
    "mysql": "pip install mysqlclient; or pip install pymysql, and begin the URL with mysql+pymysql://",
    "mariadb": "pip install mysqlclient; or pip install pymysql, and begin the URL with mariadb+pymysql://",
}
"""How to install the driver of a database, by the beginning of its URL."""


def _no_json(url: str) -> UserError:
    """Makes the error for a store with an attribute that Optuna cannot read and does not name."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        for owner, query in ATTRIBUTES.items():
            for kind in ("user", "system"):
                for number, name, text in connection.execute(sqlalchemy.text(query.format(kind=kind))):
                    try:
                        json.loads(text)
                    except ValueError as error:
                        return damaged(f"{public(url)}: {owner} {number}", name, str(error))
    return UserError(
        "store-damaged", "damaged data in the store: a value is not JSON", where=public(url), allowed="restore a copy"
    )


def public(url: str) -> str:
    """Returns a storage URL without its password."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)


def folders_nearby() -> list[str]:
    """Returns the folders in the working folder with a store of the default name, for hints about --output."""
    return [str(path.parent) for path in sorted(Path().glob("*/studies.db"))]


def sqlite_file(url: str) -> Path | None:
    """Returns the file of a SQLite store; None for another database, in memory, or an invalid URL."""
    try:
        parsed = make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return None
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    # SQLite's own form, sqlite:///file:F.db?mode=ro&uri=true.
    return Path(str(parsed.database).removeprefix("file:"))


def is_absent(url: str) -> bool:
    """Whether a store is a SQLite file that does not exist (yet).

    Raises:
        UserError: its folder cannot be read.
    """
    path = sqlite_file(url)
    try:
        return path is not None and not path.is_file()
    except OSError as error:
        raise UserError("cannot-read", f"cannot read the store: {error.strerror}", where=str(path)) from error


def open_storage(url: str, *, create: bool) -> BaseStorage:
    """Opens Optuna's storage at a URL; for a read-only SQLite file, a copy that refuses changes.

    Raises:
        UserError: the store is missing (without `create`), corrupt or locked, or the URL is invalid.
    """
    quieten()
    path = sqlite_file(url)
    if path is not None and is_absent(url):
        if not create:
            near = "".join(f"; there is one in {folder}" for folder in folders_nearby()[:3])
            mend = f"`searchlab run STUDY` creates one; see --output, --storage{near}"
            raise UserError("store-not-found", "store not found", where=str(path), allowed=mend)
        _make_folder(path.parent)
        path = None
    with storage_errors(url):
        try:
            if path is not None and not (may_write(path) and _for_writing(make_url(url))):
                return _of_copy(copied(path))
            return _committing_fast(RDBStorage(url, engine_kwargs=_waiting(url)))
        except ImportError as error:
            mend = DRIVERS.get(make_url(url).get_backend_name(), "install the Python package of that driver")
            raise UserError(
                "package-missing",
                "the database driver is not installed",
                where="--storage",
                value=public(url),
                allowed=mend,
            ) from error
        except (sqlalchemy.exc.ArgumentError, ValueError) as error:
            allowed = "such as sqlite:///FILE.db"
            raise UserError(
                "invalid-storage-url", "invalid storage URL", where="--storage", value=public(url), allowed=allowed
            ) from error
        except RuntimeError as error:
            raise UserError(
                "version-differs", str(error), where=public(url), allowed="another version of Optuna wrote it"
            ) from error
        except OSError as error:
            raise UserError("cannot-read", f"cannot read the store: {error.strerror}", where=public(url)) from error


@contextmanager
def new_storage(url: str) -> Iterator[BaseStorage]:
    """Opens a storage, made where there is none; if the block raises, a new SQLite file without studies is deleted.

    Raises:
        UserError: as `open_storage`.
    """
    path = sqlite_file(url)
    made = path if path is not None and is_absent(url) else None
    new = new_folders(made.parent) if made is not None else []
    storage: BaseStorage | None = None
    try:
        storage = open_storage(url, create=True)
        yield storage
    except BaseException:
        if made is not None:
            if isinstance(storage, RDBStorage):
                storage.remove_session()
                storage.engine.dispose()
            _delete_empty(made)
            remove_empty(new)
        raise


def _delete_empty(path: Path) -> None:
    """Deletes a SQLite store without studies that no other process has open."""
    if not path.is_file():
        return
    with (
        suppress(sqlite3.Error, OSError),
        closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection,
    ):
        # SQLite leaves its write-ahead log only where nothing else is connected; else this raises.
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("BEGIN EXCLUSIVE")
        (studies,) = connection.execute("SELECT COUNT(*) FROM studies").fetchone()
        if studies == 0:
            path.unlink()


def check_writable(storage: BaseStorage, url: str) -> None:
    """Raises UserError if the store is read-only, before any result is computed that could not be stored."""
    if is_read_only(storage):
        raise UserError("store-read-only", "the store is read-only", where=public(url), allowed=_COPY_IT)


def is_read_only(storage: BaseStorage) -> bool:
    """Whether `open_storage` found a read-only file."""
    return isinstance(storage, RDBStorage) and isinstance(storage.engine.pool, StaticPool)


def _for_writing(url: URL) -> bool:
    """Whether a URL of a SQLite file does not itself request read-only access."""
    return url.query.get("mode") != "ro" and url.query.get("immutable") in (None, "0")


def _waiting(url: str) -> dict[str, Any]:
    """Returns SQLAlchemy's arguments for a SQLite store: the timeout for locks, unless the URL has one."""
    # Optuna reports an invalid URL.
    if not url.startswith("sqlite") or "timeout" in make_url(url).query:
        return {}
    return {"connect_args": {"timeout": WAITS_FOR_LOCK_S}}


def _of_copy(copy: sqlite3.Connection) -> RDBStorage:
    """Opens Optuna's storage on a copy in memory; writing is refused, because it would be lost."""
    copy.execute("PRAGMA query_only=ON")
    return RDBStorage("sqlite://", engine_kwargs={"creator": lambda: copy, "poolclass": StaticPool})


def _committing_fast(storage: RDBStorage) -> RDBStorage:
    """Enables SQLite's write-ahead log, instead of two disk flushes for each of a trial's twenty commits.

    A killed process loses nothing; a power cut may lose the last commits, but does not damage the file. The log needs
    shared memory, so it is not used on network file systems.
    """
    journal = "DELETE" if _is_remote(Path((storage.engine.url.database or "").removeprefix("file:"))) else "WAL"

    def prepare(connection: Any, _: object) -> None:
        # A read-only or locked store stays unchanged.
        with suppress(sqlite3.OperationalError):
            connection.execute(f"PRAGMA journal_mode={journal}")
            connection.execute("PRAGMA synchronous=NORMAL")

    if storage.engine.dialect.name == "sqlite":
        sqlalchemy.event.listen(storage.engine, "connect", prepare)
        # Earlier connections do not have these settings.
        storage.remove_session()
        storage.engine.dispose()
    return storage


_MOUNTS = Path("/proc/self/mounts")
REMOTE = re.compile(r"(nfs|cifs|smb|9p|afs|beegfs|ceph|gpfs|lustre|fuse\.(sshfs|glusterfs|s3fs|gcsfuse|rclone)).*")
"""Types of file systems that several machines may share."""


def _is_remote(file: Path) -> bool:
    """Whether a file is (or would be) on a network file system; known on Linux only."""
    mounts = _MOUNTS.read_text().splitlines() if _MOUNTS.exists() else []
    kinds = {place.replace("\\040", " "): kind for _, place, kind, *_ in map(str.split, mounts)}
    around = [str(folder) for folder in file.resolve().parents]
    return bool(REMOTE.fullmatch(next((kinds[folder] for folder in around if folder in kinds), "")))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError("cannot-write", f"cannot create the folder: {error.strerror}", where=str(folder)) from error
