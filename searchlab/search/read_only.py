"""Read-only SQLite stores: copied into memory, so that nothing is written to the original.

A store keeps its latest commits in a log beside it (F.db-wal), whose index (F.db-shm) is shared memory that even
readers write to. Where the folder, the file or the mount may only be read, SQLite refuses to open it as it is.
"""

import os
import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

BESIDE = ("-wal", "-journal")
"""Suffixes of files with data that are not in the database file yet."""


def may_write(file: Path) -> bool:
    """Whether this process may write to a store: to its file and its folder, which holds SQLite's log."""
    # Check the effective user, if the system supports it.
    acting = os.access in os.supports_effective_ids
    return all(os.access(path, os.W_OK, effective_ids=acting) for path in (file, file.parent))


def copied(file: Path) -> sqlite3.Connection:
    """Copies all committed data of a read-only database into memory; nothing is written beside it.

    Raises:
        sqlite3.Error: it is damaged, locked, or may not be read.
    """
    if not any(_holds(file, end) for end in BESIDE):
        # There is no log. Opened normally, SQLite could create a log beside the file that the owner of the store cannot
        # write to.
        return _in_memory(file, "immutable=1")
    try:
        return _in_memory(file, "mode=ro")
    except sqlite3.OperationalError:
        # A log without an index: no process has the store open, so its files can be copied one by one.
        with TemporaryDirectory() as folder:
            for end in ("", *BESIDE):
                if end == "" or _holds(file, end):
                    shutil.copyfile(f"{file}{end}", f"{folder}/copy{end}")
            return _in_memory(Path(folder) / "copy", "mode=rw")


def _holds(file: Path, end: str) -> bool:
    beside = Path(f"{file}{end}")
    return beside.is_file() and beside.stat().st_size > 0


def _in_memory(file: Path, how: str) -> sqlite3.Connection:
    source = sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True)
    try:
        copy = sqlite3.connect(":memory:", check_same_thread=False)
        source.backup(copy)
        return copy
    finally:
        source.close()
