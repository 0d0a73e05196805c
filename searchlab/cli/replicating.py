"""Command `replicate`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from searchlab.analysis.replicate_jobs import Job
from searchlab.analysis.replicates import Replication, replicates_of
from searchlab.analysis.replicates import replicate as train_again
from searchlab.cli import options as opt
from searchlab.cli.console import show, show_json
from searchlab.errors import Interrupted, UserError
from searchlab.front.points import study_front
from searchlab.front.replicates import Repeated, Replicate, repeated
from searchlab.phases import MEASURES
from searchlab.record import Epoch, TrialRecord
from searchlab.report import units
from searchlab.report.frames import write_csv
from searchlab.report.replicates import replicates_frame, replicates_payload, replicates_view
from searchlab.search.storage import public
from searchlab.search.store import StudyStore, stored_study
from searchlab.session.console import console
from searchlab.session.data_options import root_of
from searchlab.session.interrupts import ends_on_interrupt
from searchlab.session.periodic import ticking
from searchlab.session.watch import Running, described, ending
from searchlab.study import RunOptions, Study, TrialSpec
from searchlab.time_left import Pace, left_words, repeated_left_s


def replicate(
    study: opt.StoredStudy = None,
    seeds: Annotated[int, typer.Option(min=1, help="Fresh seeds for every candidate of the front.")] = 3,
    points: opt.Points = 12,
    as_json: opt.AsJson = False,
    csv: opt.Csv = None,
    data: opt.DataRoot = None,
    download: opt.Download = False,
    device: opt.Device = "auto",
    threads: opt.Threads = None,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Train the front's candidates again with fresh seeds, and show the front with means and 95 % intervals.

    The best of many trials was lucky, too: what fresh seeds reach is what to expect. The search and its front stay as
    they are. Ctrl-C ends after the running step; the same command goes on from there, and a larger --seeds adds to
    what there is. `searchlab front STUDY --replicates` shows the table again.
    """
    store, stop = stored_study(study, opt.kept_at(output, storage)), Event()
    root = root_of(data, [store.definition.study], download=download)
    where = RunOptions(root, download, output, storage, device, threads)
    printer = Console(stderr=True, highlight=False) if as_json else console()
    with watching(store.definition.study, where, printer) as watch, ends_on_interrupt(stop, watch.say):
        try:
            train_again(Replication(store, where, watch, seeds, points, stop=stop, say=watch.say))
        except Interrupted:
            printer.print("Stopped. Everything is kept: the same command goes on.", soft_wrap=True)
            raise
    show_replicated(store, points, as_json=as_json, csv=csv)


def show_replicated(store: StudyStore, points: int, *, as_json: bool, csv: Path | None) -> None:
    """The front with its replicates.

    Raises:
        UserError: there are none yet, or the file cannot be written.
    """
    study, found, front = store.definition.study, replicates_of(store), replicated(store, points)
    if csv is not None:
        write_csv(csv, replicates_frame(study, front))
    if as_json:
        show_json(replicates_payload(study, front, found))
    else:
        show(replicates_view(study, front, found))


def replicated(store: StudyStore, points: int = 12) -> list[Repeated]:
    """The front's points with their readings.

    Raises:
        UserError: there are none yet.
    """
    study, found = store.definition.study, replicates_of(store)
    if not found:
        allowed = f"`searchlab replicate {study.name}` trains them"
        raise UserError("no-results", "there are no replicates yet", where=f"study {study.name}", allowed=allowed)
    return repeated(study_front(study, store.records(), most=points), found)


class Lines:
    """A line when a training begins, one when it ends, and in long ones one now and then."""

    EVERY_S = 20.0

    def __init__(self, study: Study, printer: Console) -> None:
        self.study, self.printer = study, printer
        self.spoke, self.ended, self.all = monotonic(), 0, 0
        self.phase, self.job, self.now = "preparing", "", Running("", Pace(monotonic()))
        self.first_s: dict[Job, float] = {}
        self.again_s: list[tuple[float, float]] = []

    def on_begin(self, done: Sequence[Replicate], left: Sequence[tuple[Job, TrialRecord]]) -> None:
        """How much there is to do, and how long the trials took that are repeated."""
        self.all = len(left)
        self.first_s = {job: record.seconds.total for job, record in left}
        before = f"{len(done)} done before, " if done else ""
        if not left:
            self.say(f"{before}nothing left to train")
            return
        candidates = units.counted(len({job.trial for job, _ in left}), "candidate")
        took_s = sum(record.seconds.total for _, record in left)
        what = f"{units.counted(self.all, 'training')} to do, of {candidates} of the front"
        self.say(f"{before}{what}: the first time they took {units.seconds(took_s)}")

    def on_start(self, job: Job, spec: TrialSpec) -> None:
        """Which candidate."""
        # A row's name goes by the number of the trial that is repeated.
        numbered = TrialSpec(job.trial, spec.candidate, spec.study)
        self.job, self.now = str(job), Running("", Pace(monotonic()))
        self.say(f"{job}: {described(numbered)}")

    def on_phase(self, job: Job | None, phase: str) -> None:
        """What is being done, if that takes long: see `tick`."""
        if job is None:
            self.phase = phase
        else:
            self.now.begins(phase, monotonic())

    def on_epoch(self, job: Job, epoch: Epoch) -> None:
        """How far, if nothing was said for a while."""
        self.now.ended(epoch, monotonic())
        self.tick()

    def on_word(self, job: Job, text: str) -> None:
        """What it waits for."""
        self.now.phase = text
        self.say(f"{job}: {text}")

    def on_end(self, job: Job, record: TrialRecord) -> None:
        """How it ended, and what is left."""
        self.ended += 1
        self.again_s.append((record.seconds.total, self.first_s.pop(job, 0.0)))
        self.job, self.now = "", Running("", Pace(monotonic()))
        self.say(f"{job}: {ending(record)}  [{', '.join([f'{self.ended} of {self.all}', *self.left()])}]")

    def tick(self) -> None:
        """Tells what takes long while it lasts; another thread calls it, too, and only reads."""
        if monotonic() - self.spoke > self.EVERY_S:
            self.say(self.doing())

    def doing(self) -> str:
        """What goes on: "trial 3, fresh seed 1: epoch 4 of 30, loss 0.321, about 2 min left"."""
        return f"{self.job}: {self.now.words(self.study, monotonic())}" if self.job else f"{self.phase} ..."

    def left(self) -> list[str]:
        """How long all that is left takes, by how long it took the first time; empty where that is not known."""
        elapsed_s = monotonic() - self.now.pace.started if self.job else 0.0
        words = left_words(repeated_left_s(self.again_s, list(self.first_s.values()), elapsed_s))
        return [words] if words else []

    def say(self, line: str) -> None:
        """Prints a line."""
        self.spoke = monotonic()
        self.printer.print(line, markup=False, highlight=False, soft_wrap=not self.printer.is_terminal)


class LiveLines(Lines):
    """The same, with the epoch below, redrawn in place."""

    DRAWN_EVERY_S = 0.2

    def __init__(self, study: Study, printer: Console, live: Live) -> None:
        super().__init__(study, printer)
        self.live, self.drawn = live, 0.0

    def on_phase(self, job: Job | None, phase: str) -> None:
        """What is being done."""
        super().on_phase(job, phase)
        self._redraw(now=job is None or phase in MEASURES)

    def on_epoch(self, job: Job, epoch: Epoch) -> None:
        """How far."""
        self.now.ended(epoch, monotonic())
        # Epochs may take milliseconds, and so does drawing: it must not slow what is trained.
        self._redraw(now=monotonic() - self.drawn > self.DRAWN_EVERY_S)

    def on_word(self, job: Job, text: str) -> None:
        """What it waits for."""
        self.now.phase = text
        self._redraw(now=True)

    def tick(self) -> None:
        """Lets the time that is left go down, but not while a latency is measured, which drawing would disturb."""
        self._redraw(now=self.now.phase not in MEASURES and monotonic() - self.drawn > 1.0)

    def _redraw(self, *, now: bool) -> None:
        if now:
            self.drawn = monotonic()
            count = ", ".join([f"{self.ended} of {self.all}", *self.left()])
            self.live.update(Text(f"{count} · {self.doing()}", style="dim"), refresh=True)


@contextmanager
def watching(study: Study, where: RunOptions, printer: Console) -> Iterator[Lines]:
    """The watch that fits the printer."""
    heading = f"study {study.name}: its front again with fresh seeds, kept in {public(where.storage_url)}"
    printer.print(heading, style="bold", markup=False, highlight=False, soft_wrap=not printer.is_terminal)
    if not printer.is_terminal:
        plain = Lines(study, printer)
        with ticking(plain.tick):
            yield plain
        return
    with Live(console=printer, auto_refresh=False, transient=True) as live:
        lines = LiveLines(study, live.console, live)
        with ticking(lines.tick):
            yield lines
