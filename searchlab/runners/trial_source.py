"""TrialSource: supplies trials to a runner and receives their results."""

from typing import Protocol

from searchlab.operating_point import Frontier
from searchlab.record import Epoch, TimeUnit, TrialRecord
from searchlab.study import RunOptions, Study, TrialSpec


class TrialSource(Protocol):
    """Supplies trials to a runner and receives their results; `search.driver.Driver` implements it.

    A runner calls `ask` until it returns None, and calls `tell` for every trial that it was given.

    Several trials may run at a time; all calls come from one thread.
    """

    @property
    def study(self) -> Study:
        """The study that is searched."""

    @property
    def unit(self) -> TimeUnit | None:
        """The study's unit of time and the machine of its latencies; None before the first measurement."""

    def fix_unit(self, unit: TimeUnit) -> TimeUnit:
        """Sets the study's unit of time if it has none yet; returns the one that holds."""

    @property
    def options(self) -> RunOptions:
        """Where the study runs."""

    def ask(self) -> TrialSpec | None:
        """Returns the next trial, or None if none is left."""

    def tell(self, record: TrialRecord) -> None:
        """Receives the record of a trial that ended."""

    def on_epoch(self, number: int, epoch: Epoch) -> None:
        """Called when a trial has finished an epoch."""

    def on_phase(self, number: int | None, phase: str) -> None:
        """Called when a trial (None: the run itself) enters a phase that may take a while."""

    def on_word(self, number: int, text: str) -> None:
        """Receives a message of a trial, for example that it waits for a lock."""

    def on_rung(self, number: int, epoch: int, frontier: Frontier) -> bool:
        """Receives the frontier of a trial at a rung; returns False to stop the trial."""

    def on_checkpoint(self, number: int, path: str) -> None:
        """Receives the path or URL of a new checkpoint of a trial."""

    def interrupted(self) -> bool:
        """Whether the user asked to end after the current step."""
