"""A trial in a thread of its own, so that Tune can step through what it runs in one go.

Tune asks for the next result, saves a checkpoint, asks again, or ends the trial; the trial waits at every rung for what
Tune makes of it, and runs freely in between.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event
from time import monotonic

from searchlab.data.splits import Dataset
from searchlab.errors import Interrupted
from searchlab.measure.calibration import calibrated
from searchlab.measure.isolation import Waiting
from searchlab.operating_point import Frontier
from searchlab.record import Epoch, LatencyReport, TimeUnit, TrialRecord
from searchlab.study import TrialSpec
from searchlab.train.progress import Progress
from searchlab.trial_hooks import TrialHooks

Work = Callable[[TrialSpec, Dataset, TrialHooks], TrialRecord]
"""What a trial is: `trial.run_trial`, or what stands in for it where only the cluster is tried."""


@dataclass(frozen=True)
class Rung:
    """What a trial shows at a rung."""

    epoch: int
    frontier: Frontier


@dataclass(frozen=True)
class Phase:
    """What a trial begins; see `phases`."""

    name: str


@dataclass(frozen=True, repr=False)
class News:
    """What happened since the last result: epochs and words, then perhaps a rung where the trial waits, or its end.

    `phase` is what the trial is doing since the last of the epochs, "" where that did not change.
    `files` are the artefacts, which the driver writes where the study is kept. `mistake` is the user's.
    """

    epochs: tuple[Epoch, ...] = ()
    rung: Rung | None = None
    record: TrialRecord | None = None
    files: dict[str, bytes] | None = None
    mistake: str = ""
    words: tuple[str, ...] = ()
    phase: str = ""

    @property
    def done(self) -> bool:
        """Whether the trial has ended."""
        return self.record is not None or bool(self.mistake)


class SteppedTrial:
    """One trial at work, from where `progress` says it was left. `hooks` are what it is run with."""

    def __init__(
        self,
        progress: Progress,
        measure: Callable[[TrialSpec, Waiting], LatencyReport] | None = None,
        unit: TimeUnit | None = None,
    ) -> None:
        self._events: SimpleQueue[Epoch | Rung | Phase | str | None] = SimpleQueue()
        self._verdicts: SimpleQueue[bool] = SimpleQueue()
        self._over = Event()
        self._waits, self._goes_on = False, True
        self._trial: Future[TrialRecord] | None = None
        put = self._events.put
        self.hooks = TrialHooks(
            self._over.is_set,
            put,
            self._at_rung,
            progress,
            measure,
            partial(calibrated, unit=unit),
            put,
            lambda name: put(Phase(name)),
        )

    def begin(self, stage: ThreadPoolExecutor, trial: Callable[[], TrialRecord]) -> None:
        """Lets the trial run in the stage's thread."""
        self._trial = stage.submit(trial)
        self._trial.add_done_callback(lambda _: self._events.put(None))

    def end_here(self) -> None:
        """At the rung where the trial waits, it ends."""
        self._goes_on = False

    def next(self, within_s: float) -> News:
        """What happened until the next rung or the end of the trial, or `within_s` seconds.

        Raises:
            Exception: whatever the trial ended with.
        """
        assert self._trial is not None
        if self._waits:
            self._waits = False
            self._verdicts.put(self._goes_on)
        epochs: list[Epoch] = []
        words: list[str] = []
        phase = ""
        until = monotonic() + within_s
        while True:
            try:
                event = self._events.get(timeout=max(0.0, until - monotonic()))
            except Empty:
                return News(tuple(epochs), words=tuple(words), phase=phase)
            if event is None:
                return News(tuple(epochs), record=self._trial.result(), words=tuple(words), phase=phase)
            if isinstance(event, Rung):
                self._waits = True
                return News(tuple(epochs), rung=event, words=tuple(words), phase=phase)
            if isinstance(event, str):
                words.append(event)
            elif isinstance(event, Phase):
                phase = event.name
            else:
                epochs.append(event)
                phase = ""

    def break_off(self) -> None:
        """Ends the trial after its running step, wherever it is, and forgets it."""
        self._over.set()
        self._verdicts.put(True)
        if self._trial is not None:
            self._trial.exception()

    def _at_rung(self, epoch: int, frontier: Frontier) -> bool:
        self._events.put(Rung(epoch, frontier))
        goes_on = self._verdicts.get()
        if self._over.is_set():
            raise Interrupted
        return goes_on
