"""A lock for files that several processes may want to make: one makes them, the others wait and find them."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


def _nothing() -> None:
    pass


@contextmanager
def one_process(place: Path, waits: Callable[[], None] = _nothing) -> Iterator[None]:
    """Holds the lock of a place, a file beside it that is removed at the end; calls `waits` before it waits.

    The lock of a process that dies is released by the system; the next process removes its file.
    """
    path = place.with_name(f"{place.name}.lock")
    with _locked(path, waits):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _locked(path: Path, waits: Callable[[], None]) -> IO[str]:
    """Opens and locks the file at a path; opens it again if the last holder removed it meanwhile."""
    while True:
        lock = path.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waits()
            fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
        lock.close()
