"""SteppedTrial: runs a trial in a thread, so that Tune can execute it step by step.

Tune requests the next result, saves a checkpoint, or stops the trial. The trial waits at every rung for Tune's decision
and runs without waiting between rungs.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event
from time import monotonic

from searchlab.data.splits import Dataset
from searchlab.errors import Interrupted, UserError
from searchlab.measure.calibration import calibrated
from searchlab.measure.isolation import Waiting
from searchlab.operating_point import Frontier
from searchlab.record import Epoch, LatencyReport, TimeUnit, TrialRecord
from searchlab.study import TrialSpec
from searchlab.train.progress import Progress
from searchlab.trial_hooks import TrialHooks

Work = Callable[[TrialSpec, Dataset, TrialHooks], TrialRecord]
"""Function that runs a trial: `trial.run_trial`, or a substitute in tests of the cluster."""


@dataclass(frozen=True)
class Rung:
    """The frontier of a trial at a rung."""

    epoch: int
    frontier: Frontier


@dataclass(frozen=True)
class Phase:
    """The start of a phase; see `phases`."""

    name: str


@dataclass(frozen=True, repr=False)
class Update:
    """Everything since the last result: epochs, messages, and possibly a rung where the trial waits, or its end.

    `phase` is the phase after the last epoch, "" if it did not change. `files` are the artefacts, which the driver
    writes to the study's folder. `mistake` ends the run.
    """

    epochs: tuple[Epoch, ...] = ()
    rung: Rung | None = None
    record: TrialRecord | None = None
    files: dict[str, bytes] | None = None
    mistake: UserError | None = None
    words: tuple[str, ...] = ()
    phase: str = ""

    @property
    def done(self) -> bool:
        """Whether the trial has ended."""
        return self.record is not None or self.mistake is not None


class SteppedTrial:
    """A running trial that continues from `progress`. `hooks` are the TrialHooks that it runs with."""

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

    def begin(self, executor: ThreadPoolExecutor, trial: Callable[[], TrialRecord]) -> None:
        """Starts the trial in the executor's thread."""
        self._trial = executor.submit(trial)
        self._trial.add_done_callback(lambda _: self._events.put(None))

    def stop_at_rung(self) -> None:
        """Stops the trial at the rung where it waits."""
        self._goes_on = False

    def next(self, within_s: float) -> Update:
        """Waits for the next rung, the end of the trial, or `within_s` seconds; returns what happened.

        Raises:
            Exception: the exception that ended the trial.
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
                return Update(tuple(epochs), words=tuple(words), phase=phase)
            if event is None:
                return Update(tuple(epochs), record=self._trial.result(), words=tuple(words), phase=phase)
            if isinstance(event, Rung):
                self._waits = True
                return Update(tuple(epochs), rung=event, words=tuple(words), phase=phase)
            if isinstance(event, str):
                words.append(event)
            elif isinstance(event, Phase):
                phase = event.name
            else:
                epochs.append(event)
                phase = ""

    def abort(self) -> None:
        """Ends the trial after its current step and discards its result."""
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
