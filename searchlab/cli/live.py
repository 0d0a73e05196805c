"""What is seen while a study runs: a live front on a terminal, plain lines elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from searchlab.cli.console import console
from searchlab.front import exit_names, study_front
from searchlab.record import Epoch, TrialRecord
from searchlab.report import architectures, units
from searchlab.report.payloads import best_point
from searchlab.report.tables import front_view, trial_counts
from searchlab.search.store import public
from searchlab.study import RunOptions, Study, TrialSpec

LIVE_POINTS = 8


class PlainWatch:
    """A line when a trial begins, one when it ends, and in long trials one now and then."""

    EVERY_S = 20.0

    def __init__(self, study: Study, printer: Console) -> None:
        self.study, self.printer = study, printer
        self.records: list[TrialRecord] = []
        self.spoke = monotonic()

    def say(self, line: str) -> None:
        """Prints a line."""
        self.spoke = monotonic()
        self.printer.print(line, markup=False, highlight=False, soft_wrap=True)

    def on_begin(self, records: Sequence[TrialRecord]) -> None:
        """What there is already."""
        self.records = list(records)
        if records:
            self.say(f"{trial_counts(records)} so far, of {self.study.trials}")

    def on_start(self, spec: TrialSpec) -> None:
        """Which candidate."""
        self.say(f"trial {spec.number}: {described(spec)}")

    def on_epoch(self, number: int, epoch: Epoch) -> None:
        """How far, if nothing was said for a while."""
        if monotonic() - self.spoke > self.EVERY_S:
            self.say(f"trial {number}: {progress(epoch, self.study)}")

    def on_end(self, record: TrialRecord) -> None:
        """How it ended, and what is left."""
        self.records.append(record)
        self.say(f"trial {record.number}: {ending(record)}  [{len(self.records)} of {self.study.trials}]")


class LiveWatch(PlainWatch):
    """The front so far, and the running trial below it, redrawn in place."""

    DRAWN_EVERY_S = 0.2

    def __init__(self, study: Study, printer: Console, live: Live) -> None:
        super().__init__(study, printer)
        self.live = live
        self.front: RenderableType = Text("")
        self.running, self.title = "preparing", ""
        self.drawn = 0.0

    def on_begin(self, records: Sequence[TrialRecord]) -> None:
        """What there is already."""
        super().on_begin(records)
        self._redraw(new_front=True)

    def on_start(self, spec: TrialSpec) -> None:
        """Which candidate."""
        self.running = f"trial {spec.number}: {described(spec)}"
        self.title = self.running
        self._redraw()

    def on_epoch(self, number: int, epoch: Epoch) -> None:
        """How far."""
        self.running = f"{self.title} · {progress(epoch, self.study)}"
        self._redraw()

    def on_end(self, record: TrialRecord) -> None:
        """How it ended; the front may have moved."""
        super().on_end(record)
        self._redraw(new_front=True)

    def _redraw(self, *, new_front: bool = False) -> None:
        if new_front and any(record.state == "complete" for record in self.records):
            self.front = front_view(self.study, self.records, study_front(self.study, self.records, most=LIVE_POINTS))
        count = f"{len(self.records)} of {self.study.trials} trials"
        # Epochs may take milliseconds, and so does drawing: it must not slow what is trained.
        due = new_front or monotonic() - self.drawn > self.DRAWN_EVERY_S
        self.live.update(Group(Text(""), self.front, Text(f"{count} · {self.running}", style="dim")), refresh=due)
        self.drawn = monotonic() if due else self.drawn


@contextmanager
def watch_for(study: Study, where: RunOptions) -> Iterator[PlainWatch]:
    """The watch that fits standard output."""
    printer = console()
    budget = f"{_counted(study.trials, 'trial')} of {_counted(study.epochs, 'epoch')}"
    heading = f"study {study.name}: {study.space} on {study.data}, {budget}"
    line = f"[bold]{escape(heading)}[/bold], kept in {escape(public(where.storage_url))}"
    printer.print(line, highlight=False, soft_wrap=True)
    if not printer.is_terminal:
        yield PlainWatch(study, printer)
        return
    with Live(console=printer, auto_refresh=False, transient=True) as live:
        watch = LiveWatch(study, live.console, live)
        yield watch


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def described(spec: TrialSpec) -> str:
    """A candidate in a few words, its row's name first: "Approach I, resnet 1-2-3-1 of width 64, no exits"."""
    exits = ", ".join(str(cut) for cut in spec.candidate.cuts[:-1])
    words = f"{architectures.described(spec.candidate.architecture)}, {f'exits after {exits}' if exits else 'no exits'}"
    row = spec.study.row_of(spec.number)
    return f"{row}, {words}" if row else words


def progress(epoch: Epoch, study: Study) -> str:
    """ "epoch 3 of 15, loss 1.204"."""
    return f"epoch {epoch.epoch} of {study.epochs}, loss {epoch.loss:.3f}"


def ending(record: TrialRecord) -> str:
    """How a trial ended, in one line."""
    best = best_point(record)
    if record.state != "complete" or best is None:
        return f"{record.state}: {record.reason}"
    parts = [units.percent(best.accuracy)]
    if best.latency_ms is not None:
        parts.append(units.milliseconds(best.latency_ms))
    parts += [f"{units.count(best.macs)} MACs", f"exits {', '.join(exit_names(record.candidate, best.rule))}"]
    return f"complete in {units.seconds(record.seconds.total)}: best {', '.join(parts)}"
