"""On one node, while a latency is measured, no trial of ours trains (design section 6).

Two files and `flock`: the kernel lets go of both when a process dies, so a crash leaves nothing behind. Trainers share
the lock; a measurement takes it alone. The gate, passed one at a time on the way to the lock, keeps measurements from
starving: whoever waits for the lock waits inside the gate, and no new trainer comes past.

A process that trains must let go of its training lock before it measures: the two exclude each other there too.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

BREATHE_EVERY_S = 0.05


class _Files:
    """The gate and the lock of this user on this node, opened. One for all devices: training on one loads the rest."""

    def __init__(self) -> None:
        stem = Path(tempfile.gettempdir()) / f"searchlab-{os.getuid()}"
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._gate = os.open(f"{stem}.gate", flags, 0o600)
        self._lock = os.open(f"{stem}.lock", flags, 0o600)

    def take_lock(self, mode: int) -> None:
        """Wait inside the gate for the lock; a measurement that waits there holds back whoever comes after it."""
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._lock, mode)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    def let_go(self) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def someone_waits(self) -> bool:
        """Whether anyone stands in the gate (who may just be passing)."""
        with suppress(BlockingIOError):
            fcntl.flock(self._gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(self._gate, fcntl.LOCK_UN)
            return False
        return True

    def close(self) -> None:
        # A forked child holds the same open files: closing ours alone would leave the lock with it.
        self.let_go()
        os.close(self._gate)
        os.close(self._lock)


class TrainingLock(AbstractContextManager["TrainingLock"]):
    """Held while a trial trains, shared with other trainings. Call `breathe` after each step."""

    def __init__(self, device: torch.device, every_s: float = BREATHE_EVERY_S) -> None:
        self._device, self._every_s = device, every_s
        self._files: _Files | None = None
        self._next = 0.0

    def __enter__(self) -> Self:
        assert self._files is None, "a training lock is not entered twice"
        self._files = _Files()
        self._files.take_lock(fcntl.LOCK_SH)
        self._next = time.monotonic() + self._every_s
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._files is not None
        self._files.close()
        self._files = None

    def breathe(self) -> None:
        """Let a waiting measurement run, and wait until it is over. At most every `every_s`; else it reads a clock."""
        now = time.monotonic()
        if now < self._next:
            return
        assert self._files is not None, "breathe is called inside the lock"
        if self._files.someone_waits():
            # What the GPU was given is finished before the measurement starts.
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            self._files.let_go()
            self._files.take_lock(fcntl.LOCK_SH)
            now = time.monotonic()
        self._next = now + self._every_s


def training_lock(device: torch.device, every_s: float = BREATHE_EVERY_S) -> TrainingLock:
    """The lock to train under: `with training_lock(device) as lock: ... lock.breathe()`."""
    return TrainingLock(device, every_s)


@contextmanager
def measuring() -> Iterator[None]:
    """Alone on this node: waits until every training of ours has let go, and holds them until the block ends."""
    files = _Files()
    try:
        files.take_lock(fcntl.LOCK_EX)
        yield
    finally:
        files.close()
