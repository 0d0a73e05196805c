"""Bridge from Tune's events to the source of trials."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from ray.tune import Checkpoint

from searchlab.artefacts import unpack
from searchlab.errors import Interrupted
from searchlab.measure.device import OUT_OF_MEMORY
from searchlab.record import TrialRecord
from searchlab.runners.trial_source import TrialSource
from searchlab.runners.tune.stepped_trial import Update
from searchlab.runners.tune.worker import Task
from searchlab.study import TrialSpec

log = logging.getLogger("searchlab")

T = TypeVar("T")


@dataclass
class Bridge:
    """Passes Tune's events to the source of trials.

    Tune logs exceptions of its plug-ins and continues. So the bridge stores the first error, which ends the run and is
    raised afterwards. `task_of` makes a worker's task from a spec; with True, a task that shares memory with no other.
    """

    source: TrialSource
    task_of: Callable[[TrialSpec, bool], Task]
    shares_memory: bool = False
    tasks: dict[str, Task] = field(default_factory=dict)
    ends: dict[str, tuple[TrialRecord, dict[str, bytes]]] = field(default_factory=dict)
    rungs: dict[str, int] = field(default_factory=dict)
    saved: dict[str, tuple[int, Checkpoint]] = field(default_factory=dict)
    losses: dict[str, str] = field(default_factory=dict)
    again: list[Task] = field(default_factory=list)
    error: Exception | None = None

    def next_task(self, trial_id: str) -> Task | None:
        """Returns the next task for Tune's `trial_id`; None if none is available now."""
        if self.again:
            self.tasks[trial_id] = self.again.pop()
        elif (spec := self.source.ask()) is not None:
            self.tasks[trial_id] = self.task_of(spec, False)
        return self.tasks.get(trial_id)

    def follow(self, trial_id: str, update: Update) -> bool:
        """Passes an update to the source; returns whether the trial continues."""
        number = self.tasks[trial_id].spec.number
        for epoch in update.epochs:
            self.source.on_epoch(number, epoch)
        if update.phase:
            self.source.on_phase(number, update.phase)
        for text in update.words:
            self.source.on_word(number, text)
        if update.rung is None:
            return True
        self.rungs[trial_id] = update.rung.epoch
        return self.source.on_rung(number, update.rung.epoch, update.rung.frontier)

    def keep(self, trial_id: str, checkpoint: Checkpoint, path: str) -> None:
        """Registers a complete checkpoint of the last rung and deletes the one before."""
        before, self.saved[trial_id] = self.saved.get(trial_id), (self.rungs[trial_id], checkpoint)
        self.source.on_checkpoint(self.tasks[trial_id].spec.number, path)
        if before is not None:
            _delete(before[1])

    def lost(self, trial_id: str, reason: str) -> None:
        """Stores why a trial lost its process or node, or what it raised."""
        self.losses[trial_id] = reason

    def retried(self, trial_id: str) -> None:
        """Logs that Tune retries a trial."""
        rung = self.saved.get(trial_id)
        task = self.tasks[trial_id]
        place = f"the rung at epoch {rung[0]}" if rung else task.spec.checkpoint or "its beginning"
        log.warning("trial %d: %s; restarted from %s", task.spec.number, self.losses[trial_id], place)

    def end(self, trial_id: str) -> None:
        """Reports the end of a trial: its record, or a failed one if it was lost too often."""
        task = self.tasks.pop(trial_id)
        left = [self.saved.pop(trial_id)[1]] if trial_id in self.saved else []
        if task.spec.checkpoint:
            left.append(Checkpoint(task.spec.checkpoint))
        record, files = self.ends.pop(trial_id, (None, {}))
        if record is None:
            reason = f"{self.losses[trial_id]}; see --max-failures"
            spec = task.spec
            record = TrialRecord(spec.number, "failed", spec.candidate, spec.seed, reason=reason, row=spec.row)
        if self.shares_memory and not task.alone and record.reason.startswith(OUT_OF_MEMORY):
            log.warning("trial %d: %s; retried alone", record.number, record.reason)
            self.again.append(self.task_of(task.spec, True))
            return
        if files:
            assert task.spec.directory is not None
            record = unpack(task.spec.directory, files, record)
        self.source.tell(record)
        for checkpoint in left:
            _delete(checkpoint)

    @property
    def over(self) -> bool:
        """Whether the run ends: after an error, or because the user asked for it."""
        return self.error is not None or self.source.interrupted()

    def kept(self, step: Callable[[], T]) -> T | None:
        """Returns the result of `step`; None if it raises. The first error is stored."""
        try:
            return step()
        except Exception as error:
            self.error = self.error or error
            return None

    def raise_error(self) -> None:
        """Raises the error that ended the run, if any.

        Raises:
            Interrupted: the user asked to end.
            Exception: the first error.
        """
        if self.error is not None:
            raise self.error
        if self.source.interrupted():
            raise Interrupted


def _delete(checkpoint: Checkpoint) -> None:
    """Deletes a checkpoint; a failure is ignored, because a leftover file must not end a study."""
    assert checkpoint.filesystem is not None
    with suppress(OSError):
        checkpoint.filesystem.delete_dir(checkpoint.path)
