"""Progress displays: live on a terminal, plain lines elsewhere, with periodic calls while the main thread works."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Protocol, TypeVar

from rich.console import Console
from rich.live import Live

EVERY_S = 1.0


class Display(Protocol):
    """A display of progress; `tick` is called by another thread, and only reads."""

    def tick(self) -> None:
        """Updates the display."""


AnyDisplay = TypeVar("AnyDisplay", bound=Display)


@contextmanager
def displayed(
    printer: Console, plain: Callable[[Console], AnyDisplay], live: Callable[[Live], AnyDisplay]
) -> Iterator[AnyDisplay]:
    """Makes the display that fits the printer, and calls its `tick` until the block ends."""
    if not printer.is_terminal:
        shown = plain(printer)
        with ticking(shown.tick):
            yield shown
        return
    with Live(console=printer, auto_refresh=False, transient=True) as drawn:
        shown = live(drawn)
        with ticking(shown.tick):
            yield shown


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
