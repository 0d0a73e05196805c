"""Periodic calls while the main thread works, for progress messages of long steps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

EVERY_S = 1.0


@contextmanager
def ticking(tick: Callable[[], None], every_s: float = EVERY_S) -> Iterator[None]:
    """Calls `tick` in a thread until the block ends."""
    over = Event()

    def run() -> None:
        while not over.wait(every_s):
            tick()

    thread = Thread(target=run, name="ticking", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
