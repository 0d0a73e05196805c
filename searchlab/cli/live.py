"""What is seen while a study runs: a live front on a terminal, plain lines elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from searchlab.cli.console import console
from searchlab.front import doubt_of, exit_names, study_front
from searchlab.growth import Growth
from searchlab.record import Epoch, TrialRecord
from searchlab.report import architectures, units
from searchlab.report.growth import sparkline, standing
from searchlab.report.payloads import best_point
from searchlab.report.tables import budget_words, front_view, trial_counts
from searchlab.report.units import counted
from searchlab.search.budget import stalled_for
from searchlab.search.storage import public
from searchlab.study import RunOptions, Study, TrialSpec

LIVE_POINTS = 8

LIVE_TRIALS = 8
"""So many running trials have a line of their own."""


class PlainWatch:
    """A line when a trial begins, one when it ends, and in long trials one now and then."""

    EVERY_S = 20.0

    def __init__(self, study: Study, printer: Console) -> None:
        self.study, self.printer = study, printer
        self.records: list[TrialRecord] = []
        self.growth = Growth(study)
        self.spoke = monotonic()

    def say(self, line: str) -> None:
        """Prints a line."""
        self.spoke = monotonic()
        self.printer.print(line, markup=False, highlight=False, soft_wrap=True)

    def on_begin(self, records: Sequence[TrialRecord]) -> None:
        """What there is already."""
        self.records = list(records)
        self.growth = Growth(self.study, records)
        if records:
            of = f", of {self.study.most_trials}" if self.study.most_trials else ""
            self.say(f"{trial_counts(records)} so far{of}")

    def on_start(self, spec: TrialSpec) -> None:
        """Which candidate."""
        self.say(f"trial {spec.number}: {described(spec)}")

    def on_epoch(self, number: int, epoch: Epoch) -> None:
        """How far, if nothing was said for a while."""
        if monotonic() - self.spoke > self.EVERY_S:
            self.say(f"trial {number}: {progress(epoch, self.study)}")

    def on_word(self, number: int, text: str) -> None:
        """What a trial waits for."""
        self.say(f"trial {number}: {text}")

    def on_end(self, record: TrialRecord) -> None:
        """How it ended, and what is left."""
        self.records.append(record)
        self.growth.add(record)
        self.say(f"trial {record.number}: {ending(record)}  [{', '.join([self._count(), *self._spent()])}]")

    def _count(self) -> str:
        most = self.study.most_trials
        return f"{len(self.records)} of {most}" if most else counted(len(self.records), "trial")

    def _spent(self) -> list[str]:
        """How far the study is from its limits but that on trials: "90 of 480 epochs", "stalled for 2 of 10"."""
        study, steps, parts = self.study, self.growth.trained, []
        if study.epochs_total:
            parts.append(f"{steps[-1].epochs if steps else 0} of {study.epochs_total} epochs")
        if study.until_stalled:
            stalled = stalled_for([step.hypervolume for step in steps], self.growth.noise)
            parts.append(f"stalled for {min(stalled, study.until_stalled)} of {study.until_stalled}")
        return parts


class LiveWatch(PlainWatch):
    """The front so far, and the running trials below it, redrawn in place."""

    DRAWN_EVERY_S = 0.2

    def __init__(self, study: Study, printer: Console, live: Live) -> None:
        super().__init__(study, printer)
        self.live = live
        self.front: RenderableType = Text("")
        self.titles: dict[int, str] = {}
        self.running: dict[int, str] = {}
        self.grown, self.drawn = "", 0.0

    def on_begin(self, records: Sequence[TrialRecord]) -> None:
        """What there is already."""
        super().on_begin(records)
        self._redraw(new_front=True)

    def on_start(self, spec: TrialSpec) -> None:
        """Which candidate."""
        self.titles[spec.number] = self.running[spec.number] = f"trial {spec.number}: {described(spec)}"
        self._redraw()

    def on_epoch(self, number: int, epoch: Epoch) -> None:
        """How far."""
        self.running[number] = f"{self.titles[number]} · {progress(epoch, self.study)}"
        self._redraw()

    def on_word(self, number: int, text: str) -> None:
        """What a trial waits for, beside its name: it is gone when the trial goes on."""
        self.running[number] = f"{self.titles[number]} · {text}"
        self._redraw(now=True)

    def on_end(self, record: TrialRecord) -> None:
        """How it ended; the front may have moved."""
        super().on_end(record)
        self.running.pop(record.number, None)
        self._redraw(new_front=True)

    def _redraw(self, *, new_front: bool = False, now: bool = False) -> None:
        if new_front and any(record.state == "complete" for record in self.records):
            self.front = front_view(self.study, self.records, study_front(self.study, self.records, most=LIVE_POINTS))
            self.grown = f"{sparkline(self.growth)} {standing(self.growth)}"
        trials = f"{self._count()} trials" if self.study.most_trials else self._count()
        count = ", ".join([trials, *self._spent()])
        # Epochs may take milliseconds, and so does drawing: it must not slow what is trained.
        due = new_front or now or monotonic() - self.drawn > self.DRAWN_EVERY_S
        shown = list(self.running.values())[:LIVE_TRIALS] or ["preparing"]
        more = [f"and {len(self.running) - LIVE_TRIALS} more"] if len(self.running) > LIVE_TRIALS else []
        lines = [*([self.grown] if self.grown else []), count, *shown, *more]
        self.live.update(Group(Text(""), self.front, Text("\n".join(lines), style="dim")), refresh=due)
        self.drawn = monotonic() if due else self.drawn


@contextmanager
def watch_for(study: Study, where: RunOptions) -> Iterator[PlainWatch]:
    """The watch that fits standard output."""
    printer = console()
    heading = f"study {study.name}: {study.space} on {study.data}, {budget_words(study)}"
    printer.print(heading, style="bold", markup=False, highlight=False, soft_wrap=not printer.is_terminal)
    kept = f"kept in {public(where.storage_url)}, artefacts in {where.output / study.name}"
    printer.print(kept, markup=False, highlight=False, soft_wrap=not printer.is_terminal)
    if not printer.is_terminal:
        yield PlainWatch(study, printer)
        return
    with Live(console=printer, auto_refresh=False, transient=True) as live:
        watch = LiveWatch(study, live.console, live)
        yield watch


def described(spec: TrialSpec) -> str:
    """A candidate in a few words, its row's name first: "Approach I, resnet 1-2-3-1 of width 64, no exits"."""
    exits = ", ".join(str(cut) for cut in spec.candidate.cuts[:-1])
    words = f"{architectures.described(spec.candidate.architecture)}, {f'exits after {exits}' if exits else 'no exits'}"
    return f"{spec.row}, {words}" if spec.row else words


def progress(epoch: Epoch, study: Study) -> str:
    """ "epoch 3 of 15, loss 1.204"; every part of a partition takes one at least, so there may be more."""
    return f"epoch {epoch.epoch} of {max(study.epochs, epoch.epoch)}, loss {epoch.loss:.3f}"


def ending(record: TrialRecord) -> str:
    """How a trial ended, in one line."""
    best = best_point(record)
    if record.state != "complete" or best is None:
        return f"{record.state}: {record.reason}"
    parts = [units.percent(best.accuracy)]
    if best.latency_ms is not None:
        parts.append(units.marked(units.milliseconds(best.latency_ms), doubt_of(record)))
    parts += [f"{units.count(best.macs)} MACs", f"exits {', '.join(exit_names(record.candidate, best.rule))}"]
    return f"complete in {units.seconds(record.seconds.total)}: best {', '.join(parts)}"
