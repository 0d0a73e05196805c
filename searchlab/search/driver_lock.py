"""Driver lock: one process at a time runs a study in its output folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from searchlab.errors import UserError
from searchlab.search.new_folders import new_folders, remove_empty
from searchlab.study import RunOptions

LOCK = "driver.lock"


@contextmanager
def only_driver(name: str, options: RunOptions) -> Iterator[None]:
    """Locks the study of that name for this process; the system releases the lock when the process ends.

    Raises:
        UserError: another process is running the study.
    """
    folder = options.output / name
    new = new_folders(options.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        what = f"cannot write: {error.strerror}"
        raise UserError("cannot-write", what, where=str(folder), allowed="see --output") from error
    try:
        _take(handle, name)
        if not _is_at(handle, folder / LOCK):
            what = "the study was removed at the same moment"
            raise UserError("study-removed", what, where=f"study {name}", allowed="repeat the command")
        try:
            yield
        finally:
            _remove_if_unused(folder)
    finally:
        os.close(handle)
        remove_empty(new)


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file is still the one at a path: other processes may have deleted and replaced it."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _remove_if_unused(folder: Path) -> None:
    """Removes a study's folder that holds nothing but its lock: a run was refused before the study began."""
    with suppress(OSError):
        if [path.name for path in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
            folder.rmdir()


def _take(handle: int, name: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.read(handle, 20).decode().strip()
        where, what = f"study {name}", f"process {owner} is running this study"
        raise UserError("study-running", what, where=where, allowed="wait for it, or end it") from error
    os.truncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
