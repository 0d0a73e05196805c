"""Worker: a Tune Trainable that runs one trial after another on a node."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune
from ray.air.constants import TRAINING_ITERATION
from ray.tune.result import DONE, SHOULD_CHECKPOINT

from searchlab.architecture import with_weights
from searchlab.artefacts import load_checkpoint, packed, save_checkpoint
from searchlab.candidate import Candidate
from searchlab.data.shared import OnNode, SharedDataset
from searchlab.data.splits import Dataset
from searchlab.errors import UserError
from searchlab.measure.device import is_usable, resolve_device
from searchlab.record import TimeUnit, TrialRecord
from searchlab.runners.tune.latency import measured_on
from searchlab.runners.tune.stepped_trial import SteppedTrial, Update, Work
from searchlab.study import TrialSpec
from searchlab.train.progress import Progress, Snapshot


@dataclass(frozen=True)
class Task:
    """One trial for a worker, as plain data: a worker needs searchlab and nothing else.

    `cpus` and `gpus` are reserved for the trial. With `alone`, no other trial shares the memory of its node or GPU.
    `report_every_s` is the longest time between two results. Latency is measured on one of `latency_nodes` (empty: on
    the trial's own node) and expressed in the study's `unit` of time. Relative paths of the candidate start at `home`.
    """

    spec: TrialSpec
    cpus: float = 1.0
    gpus: float = 0.0
    alone: bool = False
    report_every_s: float = 2.0
    latency_nodes: tuple[str, ...] = ()
    unit: TimeUnit | None = None
    home: Path = Path()

    def __str__(self) -> str:
        return f"trial {self.spec.number}"


@dataclass(frozen=True)
class Job:
    """What all trials of a study share through the object store: the images and the function that runs a trial."""

    data: SharedDataset | OnNode
    work: Work


class TrialWorker(tune.Trainable):
    """Runs one trial after another; the process keeps its imports and the data set."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Resources that Tune reserves on one node."""
        task: Task = config["task"]
        return tune.PlacementGroupFactory([{"CPU": task.cpus, "GPU": task.gpus}])

    def setup(self, config: dict[str, Any], job: Job | None = None) -> None:
        """Called by Tune once per process."""
        assert job is not None
        self.data, self.work = job.data, job.work
        self.dataset: Dataset | None = None
        # One thread for all trials: OpenMP would start a thread pool for each new thread.
        self.executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trial")
        self.stepped: SteppedTrial | None = None
        self.saved: Snapshot | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepares the process for another trial; returns False if the device is unusable, so that Tune replaces it."""
        self._abort()
        task: Task = new_config["task"]
        return is_usable(resolve_device(task.spec.device))

    def step(self) -> dict[str, Any]:
        """Runs until the next rung, the report interval or the end of the trial; returns the update."""
        task: Task = self.config["task"]
        try:
            if self.stepped is None:
                self.stepped = self._begun(task)
            update = self.stepped.next(task.report_every_s)
        except UserError as error:
            update = Update(mistake=error)
        if update.record is not None:
            update = self._with_files(update, replace(update.record, candidate=task.spec.candidate))
        result = {"update": update, DONE: update.done, SHOULD_CHECKPOINT: update.rung is not None}
        if update.epochs:
            last = update.epochs[-1]
            result |= {TRAINING_ITERATION: last.epoch, "loss": last.loss, "learning_rate": last.learning_rate}
        return result

    def end_at_rung(self) -> None:
        """Stops the trial at the rung where it waits; the scheduler calls this before Tune requests the next result."""
        assert self.stepped is not None
        self.stepped.stop_at_rung()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Saves a checkpoint; Tune calls this while the trial waits at a rung."""
        assert self.stepped is not None
        snapshot = self.stepped.hooks.progress.snapshot()
        plain = {"loops": snapshot.loops, "notes": snapshot.notes}
        save_checkpoint(Path(checkpoint_dir), snapshot.tensors, plain)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Loads a checkpoint; Tune calls this before the first step of a retried trial."""
        self.saved = _read(Path(checkpoint))

    def cleanup(self) -> None:
        """Called by Tune before the process ends."""
        self._abort()
        self.executor.shutdown()

    def _begun(self, task: Task) -> SteppedTrial:
        dataset = self.dataset = self.dataset or self.data.dataset()
        measure = partial(measured_on, task.latency_nodes, dataset.spec) if task.latency_nodes else None
        stepped = SteppedTrial(Progress(self.saved or _left_at(task.spec.checkpoint)), measure, task.unit)
        self.folder = tempfile.TemporaryDirectory(prefix=f"searchlab-trial-{task.spec.number}-")
        spec = replace(task.spec, candidate=_here(task), directory=Path(self.folder.name))
        stepped.begin(self.executor, lambda: self.work(spec, dataset, stepped.hooks))
        return stepped

    def _with_files(self, update: Update, record: TrialRecord) -> Update:
        files = packed(Path(self.folder.name)) if record.directory else {}
        return replace(update, record=replace(record, directory=""), files=files)

    def _abort(self) -> None:
        if self.stepped is not None:
            self.stepped.abort()
            self.folder.cleanup()
        self.stepped = self.saved = None


def _here(task: Task) -> Candidate:
    """Returns the candidate with absolute paths: a worker has another working folder than the study."""
    candidate = task.spec.candidate
    architecture = with_weights(candidate.architecture, lambda path: str(task.home / Path(path).expanduser()))
    return replace(candidate, architecture=architecture)


def _left_at(path: str) -> Snapshot | None:
    """Loads the checkpoint of an earlier run from a path or URL; None if it is missing or incomplete."""
    if not path:
        return None
    try:
        with tune.Checkpoint(path).as_directory() as folder:
            return _read(Path(folder))
    except OSError:
        return None


def _read(folder: Path) -> Snapshot | None:
    """Reads a checkpoint; None if it is incomplete: the trial then starts from the beginning."""
    try:
        tensors, plain = load_checkpoint(folder)
    except UserError:
        return None
    return Snapshot(tensors, **plain)
