"""Measures a device profile with progress messages."""

from dataclasses import dataclass, field
from threading import Event
from time import monotonic

from rich.console import Console

from searchlab.analysis.profiling import Outcome, ProfileRequest, profile
from searchlab.record import Machine, TrialRecord
from searchlab.report import units
from searchlab.report.profiles import skipped_words
from searchlab.search.store import StudyStore
from searchlab.session.console import say
from searchlab.session.interrupts import ends_on_interrupt
from searchlab.study import RunOptions
from searchlab.time_left import left_words


def measure_profile(store: StudyStore, where: RunOptions, request: ProfileRequest, printer: Console | None) -> Outcome:
    """Measures what a profile of a study lacks; reports to the printer, if there is one.

    Raises:
        UserError: as `analysis.profiling.profile`.
        Interrupted: the user asked to end. What was measured is stored.
    """
    stop, watch = Event(), Lines(store.optuna.study_name, printer)
    with ends_on_interrupt(stop, watch.say):
        outcome = profile(store, where, request, watch, stop)
    watch.on_outcome(outcome)
    return outcome


@dataclass
class Lines:
    """Progress as lines: one for every network that was measured. Nothing is drawn while a latency is measured."""

    study: str
    printer: Console | None
    begun_s: float = field(default_factory=monotonic)
    done: int = 0
    left: int = 0

    def on_begin(self, name: str, machine: Machine, done: int, left: int) -> None:
        """Which profile, and how much there is to do."""
        self.begun_s, self.left = monotonic(), left
        self.say(f"study {self.study}: profile {name}, {machine.label}")
        before = f"{done} measured before, " if done else ""
        networks = f"{units.counted(left, 'network')} without a latency there"
        self.say(f"{before}{networks}{': those on the front of the study come first' if left > 1 else ''}")

    def on_end(self, record: TrialRecord, skipped: int) -> None:
        """The latency of a network without early exits, and the time left."""
        self.done, self.left = self.done + 1, self.left - 1
        assert record.latency is not None
        latency = record.latency
        whole = units.marked(units.milliseconds(latency.whole.p50), latency.doubt)
        doubt = f" ({latency.doubt})" if latency.doubt else ""
        best = (
            f", {units.percent(max(point.accuracy for point in record.frontier.points))} at best"
            if record.frontier
            else ""
        )
        self._progress(f"trial {record.number}: {whole} without early exits{best}{doubt}", skipped)

    def on_failure(self, number: int, reason: str) -> None:
        """Why a network has no latency."""
        self.done, self.left = self.done + 1, self.left - 1
        self._progress(f"trial {number}: left out: {reason}", 0)

    def on_outcome(self, outcome: Outcome) -> None:
        """How many networks were not measured, and why."""
        for line in skipped_words(outcome.skipped, outcome.failed):
            self.say(line)

    def say(self, line: str) -> None:
        """Prints a line."""
        if self.printer is not None:
            say(line, self.printer)

    def _progress(self, line: str, skipped: int) -> None:
        waiting = max(0, self.left - skipped)
        time_left = left_words((monotonic() - self.begun_s) / self.done * waiting)
        # Some of them may be out of reach of the front.
        more = [f"at most {waiting} to go" if waiting else "", time_left]
        self.say(f"{line}  [{', '.join(filter(None, more))}]" if any(more) else line)
