"""Where Tune's events are handed in, and passed on to the source."""

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
from searchlab.runners.tune.stepped_trial import News
from searchlab.runners.tune.worker import Task
from searchlab.study import TrialSpec

log = logging.getLogger("searchlab")

T = TypeVar("T")


@dataclass
class Bridge:
    """Where Tune's events are handed in, and passed on to the source.

    Tune logs what its parts raise, and goes on: so the first error is kept, ends the run, and is raised afterwards.
    `task_of` makes of a spec what a worker gets; with True, one that has the memory for itself.
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
        """The next trial for Tune's `trial_id`; None where there is none to be had now."""
        if self.again:
            self.tasks[trial_id] = self.again.pop()
        elif (spec := self.source.ask()) is not None:
            self.tasks[trial_id] = self.task_of(spec, False)
        return self.tasks.get(trial_id)

    def follow(self, trial_id: str, news: News) -> bool:
        """Passes on epochs and what was shown at a rung; whether the trial goes on."""
        number = self.tasks[trial_id].spec.number
        for epoch in news.epochs:
            self.source.on_epoch(number, epoch)
        if news.phase:
            self.source.on_phase(number, news.phase)
        for text in news.words:
            self.source.on_word(number, text)
        if news.rung is None:
            return True
        self.rungs[trial_id] = news.rung.epoch
        return self.source.on_rung(number, news.rung.epoch, news.rung.frontier)

    def keep(self, trial_id: str, checkpoint: Checkpoint, path: str) -> None:
        """A checkpoint of the last rung is written whole: the one before is needed no more."""
        before, self.saved[trial_id] = self.saved.get(trial_id), (self.rungs[trial_id], checkpoint)
        self.source.on_checkpoint(self.tasks[trial_id].spec.number, path)
        if before is not None:
            _delete(before[1])

    def lost(self, trial_id: str, reason: str) -> None:
        """A trial's process or node is gone, or it raised what nobody foresaw."""
        self.losses[trial_id] = reason

    def retried(self, trial_id: str) -> None:
        """Tune begins it again."""
        rung = self.saved.get(trial_id)
        task = self.tasks[trial_id]
        place = f"the rung at epoch {rung[0]}" if rung else task.spec.checkpoint or "its beginning"
        log.warning("trial %d: %s; begun again from %s", task.spec.number, self.losses[trial_id], place)

    def end(self, trial_id: str) -> None:
        """A trial of Tune's is over: with a record, or lost too often."""
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
            log.warning("trial %d: %s; tried again alone", record.number, record.reason)
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
        """Whether no more is to be run: an error, or the user's wish."""
        return self.error is not None or self.source.interrupted()

    def kept(self, step: Callable[[], T]) -> T | None:
        """What the step returns; None where it raises, and the first such error is kept."""
        try:
            return step()
        except Exception as error:
            self.error = self.error or error
            return None

    def raise_error(self) -> None:
        """What ended the run.

        Raises:
            Interrupted: the user.
            Exception: the first error.
        """
        if self.error is not None:
            raise self.error
        if self.source.interrupted():
            raise Interrupted


def _delete(checkpoint: Checkpoint) -> None:
    """What cannot be deleted any more is gone, or stays as litter: neither is worth ending a study for."""
    assert checkpoint.filesystem is not None
    with suppress(OSError):
        checkpoint.filesystem.delete_dir(checkpoint.path)
