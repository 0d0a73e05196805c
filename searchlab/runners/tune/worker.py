"""What runs on the nodes: a Trainable that is used for trial after trial."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune
from ray.air.constants import TRAINING_ITERATION
from ray.tune.result import DONE, SHOULD_CHECKPOINT

from searchlab.artefacts import load_checkpoint, packed, save_checkpoint
from searchlab.data.shared import OnNode, SharedDataset
from searchlab.data.splits import Dataset
from searchlab.errors import UserError
from searchlab.measure.device import is_usable, resolve_device
from searchlab.record import TimeUnit, TrialRecord
from searchlab.runners.tune.latency import measured_on
from searchlab.runners.tune.stepped_trial import News, SteppedTrial, Work
from searchlab.study import TrialSpec
from searchlab.train.progress import Progress, Snapshot


@dataclass(frozen=True)
class Task:
    """One trial as a worker gets it: plain data alone, so that a worker needs nothing but searchlab.

    `cpus` and `gpus` are reserved for the trial, `alone` says that it has a node's or a GPU's memory for itself, and
    `report_every_s` how long Tune waits for a result at most. Latency is measured on one of `latency_nodes`, or where
    the trial runs, if there are none, and given in the study's `unit` of time.
    """

    spec: TrialSpec
    cpus: float = 1.0
    gpus: float = 0.0
    alone: bool = False
    report_every_s: float = 2.0
    latency_nodes: tuple[str, ...] = ()
    unit: TimeUnit | None = None

    def __str__(self) -> str:
        return f"trial {self.spec.number}"


@dataclass(frozen=True)
class Job:
    """What is the same for all trials of a study, kept in the object store: the images, and what a trial does."""

    data: SharedDataset | OnNode
    work: Work


class TrialWorker(tune.Trainable):
    """Runs one trial after another; the data set and the imports stay."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """What Tune reserves on one node."""
        task: Task = config["task"]
        return tune.PlacementGroupFactory([{"CPU": task.cpus, "GPU": task.gpus}])

    def setup(self, config: dict[str, Any], job: Job | None = None) -> None:
        """Called once a process, by Tune."""
        assert job is not None
        self.data, self.work = job.data, job.work
        self.dataset: Dataset | None = None
        # One thread for all trials: OpenMP would else start a pool of threads for each.
        self.stage = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trial")
        self.play: SteppedTrial | None = None
        self.saved: Snapshot | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The process is used for another trial; where the last one left the device unusable, Tune begins another."""
        self._break_off()
        task: Task = new_config["task"]
        return is_usable(resolve_device(task.spec.device))

    def step(self) -> dict[str, Any]:
        """What happened until the next rung, or for a while, or until the end of the trial."""
        task: Task = self.config["task"]
        try:
            if self.play is None:
                self.play = self._begun(task)
            news = self.play.next(task.report_every_s)
        except UserError as error:
            news = News(mistake=str(error))
        if news.record is not None:
            news = self._with_files(news, news.record)
        result = {"news": news, DONE: news.done, SHOULD_CHECKPOINT: news.rung is not None}
        if news.epochs:
            last = news.epochs[-1]
            result |= {TRAINING_ITERATION: last.epoch, "loss": last.loss, "learning_rate": last.learning_rate}
        return result

    def end_at_rung(self) -> None:
        """The trial waits at a rung, and ends there: the scheduler calls this before Tune asks for the next result."""
        assert self.play is not None
        self.play.end_here()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Called while the trial waits at a rung."""
        assert self.play is not None
        snapshot = self.play.hooks.progress.snapshot()
        plain = {"loops": snapshot.loops, "notes": snapshot.notes}
        save_checkpoint(Path(checkpoint_dir), snapshot.tensors, plain)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Called before the first step of a trial that is begun again."""
        self.saved = _read(Path(checkpoint))

    def cleanup(self) -> None:
        """Tune ends the process."""
        self._break_off()
        self.stage.shutdown()

    def _begun(self, task: Task) -> SteppedTrial:
        dataset = self.dataset = self.dataset or self.data.dataset()
        measure = partial(measured_on, task.latency_nodes, dataset.spec) if task.latency_nodes else None
        play = SteppedTrial(Progress(self.saved or _left_at(task.spec.checkpoint)), measure, task.unit)
        self.folder = tempfile.TemporaryDirectory(prefix=f"searchlab-trial-{task.spec.number}-")
        spec = replace(task.spec, directory=Path(self.folder.name))

        play.begin(self.stage, lambda: self.work(spec, dataset, play.hooks))
        return play

    def _with_files(self, news: News, record: TrialRecord) -> News:
        files = packed(Path(self.folder.name)) if record.directory else {}
        return replace(news, record=replace(record, directory=""), files=files)

    def _break_off(self) -> None:
        if self.play is not None:
            self.play.break_off()
            self.folder.cleanup()
        self.play = self.saved = None


def _left_at(path: str) -> Snapshot | None:
    """What an earlier run left at a path or URL; None where nothing whole is there any more."""
    if not path:
        return None
    try:
        with tune.Checkpoint(path).as_directory() as folder:
            return _read(Path(folder))
    except OSError:
        return None


def _read(folder: Path) -> Snapshot | None:
    """A checkpoint; None where it is not whole: the trial then begins at its beginning."""
    try:
        tensors, plain = load_checkpoint(folder)
    except UserError:
        return None
    return Snapshot(tensors, **plain)
