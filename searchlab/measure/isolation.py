"""Isolation: while a latency is measured on a node, no trial of this user trains there.

Isolation uses two files and `flock`. The kernel releases both locks when a process dies, so a crash leaves no lock.
Trainings hold the lock shared, a measurement holds it exclusively. A process must enter the gate, one at a time, before
it takes the lock, and waits for the lock inside the gate. So a waiting measurement blocks new trainings and cannot
starve.

A process that waits long reports the holders of the lock periodically, and checks whether the user interrupted it.

A training process must release its training lock before it measures, because the two exclude each other.
"""

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from searchlab.errors import Interrupted
from searchlab.measure.lock_holders import Note, duration, holders

BREATHE_EVERY_S = 0.05

SAY_AFTER_S, SAY_EVERY_S = 5.0, 30.0
LOOK_AFTER_S, LOOK_EVERY_S = 0.001, 0.05

log = logging.getLogger("searchlab")


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Waiting:
    """How a process waits for a lock: `say` gets progress messages, `interrupted` ends the wait."""

    say: Callable[[str], None] = log.warning
    interrupted: Callable[[], bool] = _never
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def pause(self, seconds: float) -> None:
        """Waits for this many seconds.

        Raises:
            Interrupted: `interrupted` returned True.
        """
        until = self.clock() + seconds
        while (left := until - self.clock()) > 0:
            if self.interrupted():
                raise Interrupted
            self.sleep(min(left, LOOK_EVERY_S))


PATIENT = Waiting()


def who_holds() -> str:
    """Lists the holders of this user's lock on this node: activity, process state and duration."""
    found = holders(_holders_folder())
    return "; ".join(holder.words(time.time()) for holder in found) or "an unknown process"


def _stem() -> str:
    return f"{tempfile.gettempdir()}/searchlab-{os.getuid()}"


def _holders_folder() -> Path:
    return Path(f"{_stem()}.holders")


class _Files:
    """Opens the gate and the lock of this user on this node. One pair for all devices: trainings load the host too."""

    def __init__(self, doing: str, waiting: Waiting) -> None:
        self._doing, self._waiting, self._note = doing, waiting, Note(_holders_folder())
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._gate = os.open(f"{_stem()}.gate", flags, 0o600)
        self._lock = os.open(f"{_stem()}.lock", flags, 0o600)

    def take_lock(self, mode: int) -> None:
        """Waits inside the gate for the lock; a measurement that waits there blocks later arrivals.

        Raises:
            Interrupted: `waiting.interrupted` returned True.
        """
        wait = _Wait(self._doing, self._waiting)
        wait.take(self._gate, fcntl.LOCK_EX)
        try:
            wait.take(self._lock, mode)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)
        self._note.write(self._doing)
        wait.over()

    def let_go(self) -> None:
        self._note.clear()
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def someone_waits(self) -> bool:
        """Whether a process is in the gate, perhaps only passing it."""
        with suppress(BlockingIOError):
            fcntl.flock(self._gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(self._gate, fcntl.LOCK_UN)
            return False
        return True

    def close(self) -> None:
        # A forked child inherits the open files: closing only our copy would leave the lock to the child.
        self.let_go()
        self._note.close()
        os.close(self._gate)
        os.close(self._lock)


class _Wait:
    """One wait, at the gate and then for the lock."""

    def __init__(self, doing: str, waiting: Waiting) -> None:
        self._doing, self._waiting = doing, waiting
        self._begun = waiting.clock()
        self._says_at = self._begun + SAY_AFTER_S
        self._said = False

    def take(self, file: int, mode: int) -> None:
        """Polls instead of blocking: a blocked process can neither report nor be interrupted."""
        after_s = LOOK_AFTER_S
        while not _taken(file, mode):
            if self._waiting.interrupted():
                raise Interrupted
            now = self._waiting.clock()
            if now >= self._says_at:
                self._says_at, self._said = now + SAY_EVERY_S, True
                since = duration(now - self._begun)
                self._waiting.say(
                    f"{self._doing} waits for the lock of this node ({since} so far), held by {who_holds()}"
                )
            self._waiting.sleep(after_s)
            after_s = min(LOOK_EVERY_S, 1.5 * after_s)

    def over(self) -> None:
        """Reports the end of a wait that was reported."""
        if self._said:
            self._waiting.say(
                f"{self._doing} continues after a wait of {duration(self._waiting.clock() - self._begun)}"
            )


def _taken(file: int, mode: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(file, mode | fcntl.LOCK_NB)
        return True
    return False


class TrainingLock(AbstractContextManager["TrainingLock"]):
    """Shared lock that a trial holds while it trains. Call `breathe` after each step."""

    def __init__(self, device: torch.device, every_s: float = BREATHE_EVERY_S, waiting: Waiting = PATIENT) -> None:
        self._device, self._every_s, self._waiting = device, every_s, waiting
        self._files: _Files | None = None
        self._next = 0.0

    def __enter__(self) -> Self:
        assert self._files is None, "a training lock is not entered twice"
        files = _Files("training", self._waiting)
        try:
            files.take_lock(fcntl.LOCK_SH)
        except BaseException:
            files.close()
            raise
        self._files = files
        self._next = time.monotonic() + self._every_s
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._files is not None
        self._files.close()
        self._files = None

    def breathe(self) -> None:
        """Lets a waiting measurement run and waits for its end. Checks at most every `every_s`."""
        now = time.monotonic()
        if now < self._next:
            return
        assert self._files is not None, "breathe is called inside the lock"
        if self._files.someone_waits():
            # Finish the GPU's queue before the measurement starts.
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            self._files.let_go()
            self._files.take_lock(fcntl.LOCK_SH)
            now = time.monotonic()
        self._next = now + self._every_s


def training_lock(device: torch.device, every_s: float = BREATHE_EVERY_S, waiting: Waiting = PATIENT) -> TrainingLock:
    """Takes the training lock: `with training_lock(device) as lock: ... lock.breathe()`."""
    return TrainingLock(device, every_s, waiting)


@contextmanager
def measuring(waiting: Waiting = PATIENT) -> Iterator[None]:
    """Takes the lock exclusively: waits until all trainings release it, and blocks them until the end.

    Raises:
        Interrupted: `waiting.interrupted` returned True during the wait.
    """
    files = _Files("measuring", waiting)
    try:
        files.take_lock(fcntl.LOCK_EX)
        yield
    finally:
        files.close()
