"""Interrupts: Ctrl-C or a notebook's stop button ends the study after the current step."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, current_thread, main_thread


@contextmanager
def ends_on_interrupt(stop: Event, say: Callable[[str], None]) -> Iterator[None]:
    """Lets Ctrl-C set `stop` and print a message; a second one ends at once.

    Signals come to the main thread alone: in another thread nothing is changed.
    """
    if current_thread() is not main_thread():
        yield
        return

    def interrupt(signum: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        say("Ending after the current step; press Ctrl-C again to end at once.")

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
