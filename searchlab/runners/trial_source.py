"""What a runner is given: where trials come from, and who is told about them."""

from typing import Protocol

from searchlab.operating_point import Frontier
from searchlab.record import Epoch, TimeUnit, TrialRecord
from searchlab.study import RunOptions, Study, TrialSpec


class TrialSource(Protocol):
    """Asks and tells, as the driver does them. A runner calls `ask` until it is None, and tells every trial it took.

    Several trials may run at a time; all calls come from one thread.
    """

    @property
    def study(self) -> Study:
        """What is searched."""

    @property
    def unit(self) -> TimeUnit | None:
        """The study's unit of time, and the machine that its latencies are of; None where none was measured yet."""

    def fix_unit(self, unit: TimeUnit) -> TimeUnit:
        """The study's unit of time: this one, if it has none yet."""

    @property
    def options(self) -> RunOptions:
        """Where it runs."""

    def ask(self) -> TrialSpec | None:
        """The next trial, or None where there is no more to do."""

    def tell(self, record: TrialRecord) -> None:
        """How a trial ended."""

    def on_epoch(self, number: int, epoch: Epoch) -> None:
        """A trial finished an epoch."""

    def on_phase(self, number: int | None, phase: str) -> None:
        """A trial, or where there is no number the run itself, begins something that may take a while."""

    def on_word(self, number: int, text: str) -> None:
        """A trial has something to tell: that it waits, and for whom."""

    def on_rung(self, number: int, epoch: int, frontier: Frontier) -> bool:
        """A trial showed its frontier at a rung; False stops it there."""

    def on_checkpoint(self, number: int, path: str) -> None:
        """A trial can be gone on with from what lies at a path or URL."""

    def interrupted(self) -> bool:
        """Whether the user wants everything to end after the running step."""
