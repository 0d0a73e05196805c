"""Progress of a running study: a live front on a terminal, plain lines elsewhere."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import monotonic

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from searchlab.front.history import SearchHistory
from searchlab.front.points import doubt_of, exit_names, study_front
from searchlab.phases import MEASURES, TRAINING
from searchlab.record import Epoch, TrialRecord
from searchlab.report import units
from searchlab.report.growth import sparkline, standing
from searchlab.report.payloads import best_point
from searchlab.report.tables import budget_words, front_view, trial_counts
from searchlab.report.units import counted
from searchlab.search.budget import stalled_for
from searchlab.search.storage import public
from searchlab.session.console import console, say
from searchlab.session.periodic import displayed
from searchlab.study import RunOptions, Study, TrialSpec
from searchlab.time_left import Pace, Underway, at_most, left_words, study_left_s

LIVE_POINTS = 8

LIVE_TRIALS = 8
"""Maximum number of running trials with a line of their own."""


@dataclass
class Running:
    """Display of a running trial: candidate and progress. `word` is its last message in the current phase."""

    title: str
    pace: Pace
    phase: str = ""
    epoch: Epoch | None = None
    word: str = ""

    def begins(self, phase: str, now: float) -> None:
        """Registers the start of a phase."""
        self.phase, self.word = phase, ""
        if phase == TRAINING:
            self.pace.trains(now)

    def ended(self, epoch: Epoch, now: float) -> None:
        """Registers a finished epoch."""
        self.phase, self.epoch, self.word = TRAINING, epoch, ""
        self.pace.ended(epoch.epoch, now)

    def words(self, study: Study, now: float) -> str:
        """ "epoch 3 of 15, loss 1.204, about 12 min left", "measuring latency"."""
        if self.word or self.phase != TRAINING:
            return self.word or self.phase
        if self.epoch is None:
            return f"{TRAINING}, epoch 1 of {study.epochs}"
        left = left_words(self.pace.left_s(max(study.epochs, self.epoch.epoch), now))
        return ", ".join(filter(None, [progress(self.epoch, study), left]))


class SilentWatch:
    """Watch without output."""

    def say(self, line: str) -> None:
        """Prints nothing."""

    def on_begin(self, history: SearchHistory) -> None: ...
    def on_start(self, spec: TrialSpec) -> None: ...
    def on_epoch(self, number: int, epoch: Epoch) -> None: ...
    def on_phase(self, number: int | None, phase: str) -> None: ...
    def on_word(self, number: int, text: str) -> None: ...
    def on_end(self, record: TrialRecord) -> None: ...


class PlainWatch:
    """Watch with plain lines: at the start and end of a trial, and sometimes in between.

    `tick` is called by another thread, which only reads.
    """

    EVERY_S = 20.0
    SHARE = 0.1
    """Minimum time between two lines, as a share of the trial's time so far, if that is more than `EVERY_S`."""
    STUDY_PHASE_S = 2.0
    """Seconds after which a step of the study itself is reported."""

    def __init__(self, study: Study, printer: Console, heading: Sequence[str] = ()) -> None:
        self.study, self.printer, self.heading = study, printer, heading
        # Replaced by the driver's own once the study begins.
        self.history = SearchHistory(study)
        self.running: dict[int, Running] = {}
        self.spoke = self.begun = self.phase_begun = monotonic()
        self.phase, self.last = "preparing", -1
        self.phase_told = False

    def say(self, line: str, style: str = "") -> None:
        """Prints a line."""
        self.spoke = monotonic()
        say(line, self.printer, style)

    def on_begin(self, history: SearchHistory) -> None:
        """Prints the heading, and reports the existing trials. A run that is refused comes not so far."""
        self.history = history
        for number, line in enumerate(self.heading):
            self.say(line, style="" if number else "bold")
        if records := history.records:
            of = f", of {self.study.most_trials}" if self.study.most_trials else ""
            self.say(f"{trial_counts(records)} so far{of}")

    def on_start(self, spec: TrialSpec) -> None:
        """Reports the candidate."""
        self.running[spec.number] = Running(f"trial {spec.number}: {described(spec)}", Pace(monotonic()))
        self.last = spec.number
        self.announce(spec)

    def announce(self, spec: TrialSpec) -> None:
        """Reports the start of a trial."""
        self.say(self.running[spec.number].title)

    def on_phase(self, number: int | None, phase: str) -> None:
        """Registers a phase, which is reported if it takes long: see `tick`."""
        if number is None:
            self.phase, self.phase_begun, self.phase_told = phase, monotonic(), False
        else:
            self._of(number).begins(phase, monotonic())

    def on_epoch(self, number: int, epoch: Epoch) -> None:
        """Reports an epoch if nothing was printed for a while."""
        self._of(number).ended(epoch, monotonic())
        self._break_silence()

    def on_word(self, number: int, text: str) -> None:
        """Reports a message of a trial."""
        self._of(number).word = text
        self.say(f"trial {number}: {text}")

    def on_end(self, record: TrialRecord) -> None:
        """Reports the result of a trial, and the time left."""
        self.running.pop(record.number, None)
        count = ", ".join([self._count(), *self._spent(), *self._left()])
        self.say(f"trial {record.number}: {ending(record)}  [{count}]")

    def tick(self) -> None:
        """Reports a long step while it lasts."""
        if self.running:
            self._break_silence()
        elif not self.phase_told and monotonic() - self.phase_begun > self.STUDY_PHASE_S:
            self.phase_told = True
            self.say(f"{self.phase} ...")

    def _of(self, number: int) -> Running:
        self.last = number
        return self.running.setdefault(number, Running(f"trial {number}", Pace(monotonic())))

    def _break_silence(self) -> None:
        """Returns a line about the most recently active trial if none was printed for a while."""
        now, trial = monotonic(), self.running.get(self.last)
        if trial is not None and now - self.spoke > max(self.EVERY_S, self.SHARE * (now - trial.pace.started)):
            self.say(f"trial {self.last}: {trial.words(self.study, now)}")

    def _count(self) -> str:
        most = self.study.most_trials
        return f"{len(self.history.steps)} of {most}" if most else counted(len(self.history.steps), "trial")

    def _left(self) -> list[str]:
        """Returns the time left: "about 12 min left"; empty if unknown."""
        now = monotonic()
        trials = [
            Underway(now - trial.pace.started, trial.pace.left_s(self.study.epochs, now))
            for trial in list(self.running.values())
        ]
        left_s = study_left_s(self.study, self.history.records, trials, now - self.begun)
        return list(filter(None, [left_words(left_s, at_most=at_most(self.study))]))

    def _spent(self) -> list[str]:
        """Returns the use of limits other than that on trials: "90 of 480 epochs", "stalled for 2 of 10"."""
        study, steps, parts = self.study, self.history.trained, []
        if study.epochs_total:
            parts.append(f"{steps[-1].epochs if steps else 0} of {study.epochs_total} epochs")
        if study.until_stalled:
            stalled = stalled_for([step.hypervolume for step in steps], self.history.noise)
            parts.append(f"stalled for {min(stalled, study.until_stalled)} of {study.until_stalled}")
        return parts


class LiveWatch(PlainWatch):
    """Watch with the current front and the running trials below it, redrawn in place."""

    DRAWN_EVERY_S = 0.2
    TICKS_S = 1.0

    def __init__(self, study: Study, printer: Console, live: Live, heading: Sequence[str] = ()) -> None:
        super().__init__(study, printer, heading)
        self.live = live
        self.front: RenderableType = Text("")
        self.grown, self.drawn = "", 0.0

    def on_begin(self, history: SearchHistory) -> None:
        """Shows the existing trials."""
        super().on_begin(history)
        self._redraw(new_front=True)

    def announce(self, spec: TrialSpec) -> None:
        """Shows the start of a trial."""
        self._redraw()

    def on_phase(self, number: int | None, phase: str) -> None:
        """Shows a phase."""
        super().on_phase(number, phase)
        self._redraw(now=(number is None and not self.running) or phase in MEASURES)

    def on_epoch(self, number: int, epoch: Epoch) -> None:
        """Shows an epoch."""
        self._of(number).ended(epoch, monotonic())
        self._redraw()

    def on_word(self, number: int, text: str) -> None:
        """Shows a message beside the trial's name until the trial continues."""
        self._of(number).word = text
        self._redraw(now=True)

    def on_end(self, record: TrialRecord) -> None:
        """Shows a result and the new front."""
        super().on_end(record)
        self._redraw(new_front=True)

    def tick(self) -> None:
        """Updates the time left, but not during a measurement, which drawing would disturb."""
        measured = any(trial.phase in MEASURES for trial in list(self.running.values()))
        if not measured and monotonic() - self.drawn > self.TICKS_S:
            self._redraw(now=True)

    def _redraw(self, *, new_front: bool = False, now: bool = False) -> None:
        records = self.history.records if new_front else []
        if any(record.state == "complete" for record in records):
            self.front = front_view(self.study, records, study_front(self.study, records, most=LIVE_POINTS))
            self.grown = f"{sparkline(self.history)} {standing(self.history)}"
        # Epochs may take milliseconds, like drawing, which must not slow the training.
        due = new_front or now or monotonic() - self.drawn > self.DRAWN_EVERY_S
        if not due:
            return
        self.drawn = monotonic()
        trials = f"{self._count()} trials" if self.study.most_trials else self._count()
        count = ", ".join([trials, *self._spent(), *self._left()])
        lines = [*([self.grown] if self.grown else []), count, *self._trials()]
        self.live.update(Group(Text(""), self.front, Text("\n".join(lines), style="dim")), refresh=True)

    def _trials(self) -> list[str]:
        """Returns the lines on running trials, one or two each; without a running trial, the phase of the study."""
        if not self.running:
            return [f"{self.phase} ..."]
        lines: list[str] = []
        for trial in list(self.running.values())[:LIVE_TRIALS]:
            words = trial.words(self.study, monotonic())
            whole = " · ".join(filter(None, [trial.title, words]))
            fits = cell_len(whole) <= self.printer.width
            lines += [whole] if fits else [trial.title, f"  {words}"]
        more = len(self.running) - LIVE_TRIALS
        return [*lines, f"and {more} more"] if more > 0 else lines


def watch_for(study: Study, where: RunOptions) -> AbstractContextManager[PlainWatch]:
    """Makes the watch for standard output. It says what is searched, and where that is kept, once the search begins."""
    heading = f"study {study.name}: {study.space_name} on {study.data}, {budget_words(study)}"
    kept = f"store {public(where.storage_url)}, artefacts in {where.output / study.name}"
    return displayed(
        console(),
        lambda printer: PlainWatch(study, printer, (heading, kept)),
        lambda live: LiveWatch(study, live.console, live, (heading, kept)),
    )


def described(spec: TrialSpec) -> str:
    """Describes a candidate: "Approach I, resnet 1-2-3-1 of width 64, no exits"."""
    cuts = spec.candidate.cuts[:-1]
    stages = f"{'stage' if len(cuts) == 1 else 'stages'} {', '.join(map(str, cuts))}"
    exits = f"{'exit' if len(cuts) == 1 else 'exits'} after {stages}" if cuts else "no exits"
    words = f"{spec.candidate.architecture.described}, {exits}"
    return f"{spec.row}, {words}" if spec.row else words


def progress(epoch: Epoch, study: Study) -> str:
    """ "epoch 3 of 15, loss 1.204"; a partition may take more epochs, at least one per network."""
    return f"epoch {epoch.epoch} of {max(study.epochs, epoch.epoch)}, loss {epoch.loss:.3f}"


def ending(record: TrialRecord) -> str:
    """Formats the result of a trial in one line."""
    best = best_point(record)
    if record.state != "complete" or best is None:
        return f"{record.state}: {record.reason}"
    parts = [units.percent(best.accuracy)]
    if best.latency_ms is not None:
        parts.append(units.marked(units.milliseconds(best.latency_ms), doubt_of(record)))
    parts += [f"{units.count(best.macs)} MACs", f"exits {', '.join(exit_names(record.candidate, best.rule))}"]
    return f"complete in {units.seconds(record.seconds.total)}: best {', '.join(parts)}"
