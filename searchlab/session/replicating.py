"""Runs replicates with progress messages."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import Event
from time import monotonic

from rich.console import Console
from rich.live import Live
from rich.text import Text

from searchlab.analysis.replicate_jobs import Job
from searchlab.analysis.replicates import Replication, replicate
from searchlab.front.replicates import Replicate
from searchlab.phases import MEASURES
from searchlab.record import Epoch, TrialRecord
from searchlab.report import units
from searchlab.search.storage import public
from searchlab.search.store import StudyStore
from searchlab.session.console import say
from searchlab.session.interrupts import ends_on_interrupt
from searchlab.session.periodic import displayed
from searchlab.session.watch import Running, described, ending
from searchlab.study import RunOptions, Study, TrialSpec
from searchlab.time_left import Pace, left_words, repeated_left_s


def train_again(store: StudyStore, where: RunOptions, printer: Console | None, seeds: int, points: int) -> None:
    """Trains the missing replicates of a study's front; reports to the printer, if there is one.

    Raises:
        UserError: as `analysis.replicates.replicate`.
        Interrupted: the user asked to end.
    """
    stop, study = Event(), store.definition.study
    watching = nullcontext(SilentLines()) if printer is None else watch_on(printer, study, where)
    with watching as watch, ends_on_interrupt(stop, watch.say):
        replicate(Replication(store, where, watch, seeds, points, stop=stop, say=watch.say))


def watch_on(printer: Console, study: Study, where: RunOptions) -> AbstractContextManager["Lines"]:
    """Makes the watch that fits the printer."""
    heading = f"study {study.name}: replicates of its front, store {public(where.storage_url)}"
    return displayed(
        printer,
        lambda printer: Lines(study, printer, heading),
        lambda live: LiveLines(study, live.console, live, heading),
    )


class SilentLines:
    """Watch without output."""

    def say(self, line: str) -> None:
        """Prints nothing."""

    def on_begin(self, done: Sequence[Replicate], left: Sequence[tuple[Job, TrialRecord]]) -> None: ...
    def on_start(self, job: Job, spec: TrialSpec) -> None: ...
    def on_epoch(self, job: Job, epoch: Epoch) -> None: ...
    def on_phase(self, job: Job | None, phase: str) -> None: ...
    def on_word(self, job: Job, text: str) -> None: ...
    def on_end(self, job: Job, record: TrialRecord) -> None: ...


class Lines:
    """Progress as lines: at the start and end of a training, and at intervals in between."""

    EVERY_S = 20.0

    def __init__(self, study: Study, printer: Console, heading: str = "") -> None:
        self.study, self.printer, self.heading = study, printer, heading
        self.spoke, self.ended, self.all = monotonic(), 0, 0
        self.phase, self.job, self.now = "preparing", "", Running("", Pace(monotonic()))
        self.first_s: dict[Job, float] = {}
        self.again_s: list[tuple[float, float]] = []

    def on_begin(self, done: Sequence[Replicate], left: Sequence[tuple[Job, TrialRecord]]) -> None:
        """How much there is to do, and how long the trials took that are repeated; the heading comes first."""
        if self.heading:
            self.say(self.heading, style="bold")
        self.all = len(left)
        self.first_s = {job: record.seconds.total for job, record in left}
        before = f"{len(done)} done before, " if done else ""
        if not left:
            self.say(f"{before}nothing left to train")
            return
        candidates = units.counted(len({job.trial for job, _ in left}), "candidate")
        took_s = sum(record.seconds.total for _, record in left)
        what = f"{units.counted(self.all, 'training')} to do, of {candidates} of the front"
        self.say(f"{before}{what}; the original trainings took {units.seconds(took_s)}")

    def on_start(self, job: Job, spec: TrialSpec) -> None:
        """Which candidate."""
        # Names of rows depend on the number of the original trial.
        numbered = TrialSpec(job.trial, spec.candidate, spec.study)
        self.job, self.now = str(job), Running("", Pace(monotonic()))
        self.say(f"{job}: {described(numbered)}")

    def on_phase(self, job: Job | None, phase: str) -> None:
        """Registers a phase, which is reported if it takes long: see `tick`."""
        if job is None:
            self.phase = phase
        else:
            self.now.begins(phase, monotonic())

    def on_epoch(self, job: Job, epoch: Epoch) -> None:
        """Reports an epoch if nothing was printed for a while."""
        self.now.ended(epoch, monotonic())
        self.tick()

    def on_word(self, job: Job, text: str) -> None:
        """What it waits for."""
        self.now.phase = text
        self.say(f"{job}: {text}")

    def on_end(self, job: Job, record: TrialRecord) -> None:
        """Reports the result of a training, and the time left."""
        self.ended += 1
        self.again_s.append((record.seconds.total, self.first_s.pop(job, 0.0)))
        self.job, self.now = "", Running("", Pace(monotonic()))
        self.say(f"{job}: {ending(record)}  [{', '.join([f'{self.ended} of {self.all}', *self.left()])}]")

    def tick(self) -> None:
        """Reports a long step while it lasts. Another thread calls it and only reads."""
        if monotonic() - self.spoke > self.EVERY_S:
            self.say(self.doing())

    def doing(self) -> str:
        """Describes the current step: "trial 3, fresh seed 1: epoch 4 of 30, loss 0.321, about 2 min left"."""
        return f"{self.job}: {self.now.words(self.study, monotonic())}" if self.job else f"{self.phase} ..."

    def left(self) -> list[str]:
        """Estimates the time left from the durations of the original trainings; empty if unknown."""
        elapsed_s = monotonic() - self.now.pace.started if self.job else 0.0
        words = left_words(repeated_left_s(self.again_s, list(self.first_s.values()), elapsed_s))
        return [words] if words else []

    def say(self, line: str, style: str = "") -> None:
        """Prints a line."""
        self.spoke = monotonic()
        say(line, self.printer, style)


class LiveLines(Lines):
    """Progress as lines, with the current epoch below them, redrawn in place."""

    DRAWN_EVERY_S = 0.2

    def __init__(self, study: Study, printer: Console, live: Live, heading: str = "") -> None:
        super().__init__(study, printer, heading)
        self.live, self.drawn = live, 0.0

    def on_phase(self, job: Job | None, phase: str) -> None:
        """What is being done."""
        super().on_phase(job, phase)
        self._redraw(now=job is None or phase in MEASURES)

    def on_epoch(self, job: Job, epoch: Epoch) -> None:
        """How far."""
        self.now.ended(epoch, monotonic())
        # Epochs may take milliseconds, like drawing, which must not slow the training.
        self._redraw(now=monotonic() - self.drawn > self.DRAWN_EVERY_S)

    def on_word(self, job: Job, text: str) -> None:
        """What it waits for."""
        self.now.phase = text
        self._redraw(now=True)

    def tick(self) -> None:
        """Updates the time left, but not during a latency measurement, which drawing would disturb."""
        self._redraw(now=self.now.phase not in MEASURES and monotonic() - self.drawn > 1.0)

    def _redraw(self, *, now: bool) -> None:
        if now:
            self.drawn = monotonic()
            count = ", ".join([f"{self.ended} of {self.all}", *self.left()])
            self.live.update(Text(f"{count} · {self.doing()}", style="dim"), refresh=True)
