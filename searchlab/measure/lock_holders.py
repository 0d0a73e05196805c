"""Notes of lock holders: `flock` does not tell who holds a lock, so every holder writes a small file.

A note is a small file that its holder keeps locked. The kernel releases this lock when the process ends. A note that
no process has locked is out of date, and the next reader removes it. If notes cannot be written or read, only messages
are less precise.
"""

import fcntl
import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

STOPPED = "T"
STATES = {STOPPED: "stopped (Ctrl-Z)", "t": "stopped by a debugger", "D": "waiting for a disk", "Z": "ended"}
"""Process states of Linux that explain why a process does not run."""

_numbers = count()


@dataclass(frozen=True)
class Holder:
    """A process that holds the lock, its activity, and the start time (seconds since 1970)."""

    pid: int
    command: str
    doing: str
    since_s: float

    def words(self, now_s: float) -> str:
        """ "process 42 (searchlab run digits), training for 63 s, stopped (Ctrl-Z): `kill -CONT 42` continues it"."""
        letter = _state(self.pid)
        state = f", {STATES[letter]}" if letter in STATES else ""
        mend = f": `kill -CONT {self.pid}` continues it" if letter == STOPPED else ""
        held = f"{self.doing} for {duration(now_s - self.since_s)}"
        return f"process {self.pid} ({self.command}), {held}{state}{mend}"


class Note:
    """This process's note in a folder, empty while it does not hold the lock."""

    def __init__(self, folder: Path) -> None:
        self._file = -1
        self._path = folder / f"{os.getpid()}-{next(_numbers)}"
        with suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, doing: str) -> None:
        """Notes that this process holds the lock."""
        text = json.dumps({"pid": os.getpid(), "command": _command(), "doing": doing, "since_s": time.time()})
        self._put(text.encode())

    def clear(self) -> None:
        """Notes that this process has released the lock."""
        self._put(b"")

    def close(self) -> None:
        """Removes the note."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
            if self._file >= 0:
                # A forked child shares the open file: closing only our copy would leave the note locked.
                fcntl.flock(self._file, fcntl.LOCK_UN)
                os.close(self._file)
        self._file = -1

    def _put(self, text: bytes) -> None:
        if self._file >= 0:
            with suppress(OSError):
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, text, 0)


def holders(folder: Path) -> list[Holder]:
    """Returns the holders of the lock, the longest first; removes the notes of dead processes."""
    found = []
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            with suppress(OSError, ValueError, TypeError):
                if text := _read(path):
                    found.append(Holder(**json.loads(text)))
    return sorted(found, key=lambda holder: holder.since_s)


def duration(seconds: float) -> str:
    """ "63 s", "5 min", "2.5 h"."""
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _read(path: Path) -> str:
    """Returns the text of a living holder's note; "" if it holds nothing now, or is dead."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        text = os.read(file, 4096).decode()
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            # No process has it locked. An empty one may have just been made.
            if text:
                path.unlink(missing_ok=True)
            return ""
        return text
    finally:
        os.close(file)


def _state(pid: int) -> str:
    """Returns the letter of a process's state; "" if the system does not report it."""
    with suppress(OSError, IndexError):
        # The name, in brackets, may contain any character.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def _command() -> str:
    program, *arguments = sys.argv or [""]
    return " ".join([Path(program).name or "python", *arguments])[:120]
