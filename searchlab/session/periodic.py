"""Looking again now and then while the main thread works, so that a long step is told of while it lasts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

EVERY_S = 1.0


@contextmanager
def ticking(tick: Callable[[], None], every_s: float = EVERY_S) -> Iterator[None]:
    """Calls `tick` in a thread of its own until the block ends."""
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
