"""Study, run options, and the specification of a trial for a worker."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from searchlab.architecture import Positive
from searchlab.candidate import Candidate, PositiveReal, Space
from searchlab.limits import Limits
from searchlab.objective import Objective, accuracy, latency_ms, named
from searchlab.schema import REPLICATES, is_unnamed, unnamed
from searchlab.serialization import NOUN
from searchlab.user_file import UserFile, is_file_name

DEFAULT_TRIALS = 20

AUTO_ENGINE = "auto"
"""In place of an engine: the default one of the device, or the one that the study was begun with."""

Named = Annotated[Objective, BeforeValidator(named)]
"""An objective, or its name."""


def _by_name(enqueue: Any) -> Any:
    return {unnamed(i): each for i, each in enumerate(enqueue)} if isinstance(enqueue, tuple | list) else enqueue


Enqueue = Annotated[
    dict[Annotated[str, Field(min_length=1)], dict[str, Any]],
    BeforeValidator(_by_name),
]
"""Configurations by name, or in a tuple or list without names."""


@dataclass(frozen=True, config=NOUN)
class Study:
    """A study: search space, data, objectives, limits and budget.

    `space`, `data`, `sampler` and each of `scores` are names, or paths of the user's files, relative to the study's
    file (`data` may be "folder:PATH"). `objectives` may be names, too. `space` may also be a function `(choose) ->
    Candidate`, whose source is stored. `files` is filled with the text of the user's files, except the space's.

    `image_size` is the side in pixels of a folder's images, as in "folder:PATH?size=96"; if both are given, they must
    be equal. `max_images` is the number of images to train on (see `data.splits.limited`). `rungs` are epochs at which
    trials are compared. `engine` executes the networks whose latency is measured, one of `engines.catalog.ENGINES`;
    "auto" is the default one of the device. Operating points below `min_accuracy` (of the validation split) are not on
    the front.

    `enqueue` holds parameters of the space that are tried first, in this order, by the names of their rows in tables;
    those of a tuple have no names. `thresholds_per_exit` is the number of thresholds that the frontier search tries at
    every exit, "never" included. An empty `name` is filled from the file's name.

    The study ends after `trials` (see `most_trials`) or `hours`, once `epochs_total` epochs are trained, or when the
    last `until_stalled` trials added no more to the hypervolume than its noise, whichever comes first; running trials
    are finished. With `curves`, validation accuracy is computed after every epoch. `paper` names the paper whose tables
    the study fills ("paper_mine": the folder `studies/papers/mine`).
    """

    space: str | Space
    data: str
    objectives: Annotated[tuple[Named, ...], Field(min_length=2, max_length=3)] = (
        accuracy,
        latency_ms,
    )
    name: str = ""
    description: str = ""
    epochs: Positive = 10
    trials: Positive | None = None
    hours: PositiveReal | None = None
    epochs_total: Positive | None = None
    until_stalled: Positive | None = None
    max_params: Positive | None = None
    max_macs: Positive | None = None
    max_latency_ms: PositiveReal | None = None
    min_accuracy: Annotated[float, Field(ge=0, lt=1)] = 0.0
    sampler: str = "tpe"
    early_stopping: str = "none"
    rungs: tuple[Positive, ...] = ()
    seed: Annotated[int, Field(ge=0)] = 0
    reference: str = "resnet8"
    engine: Annotated[str, Field(min_length=1)] = AUTO_ENGINE
    scores: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "margin",
        "max_softmax",
        "entropy",
        "max_logit",
    )
    thresholds_per_exit: Annotated[int, Field(ge=2, le=1001)] = 101
    enqueue: Enqueue = Field(default_factory=dict)
    max_images: Positive | None = None
    image_size: Positive | None = None
    curves: bool = False
    paper: str = ""
    files: tuple[UserFile, ...] = ()

    def __post_init__(self) -> None:
        names = [objective.name for objective in self.objectives]
        if len(set(names)) != len(names):
            raise ValueError(f"objectives must differ, not {names}")
        if list(self.rungs) != sorted(set(self.rungs)):
            raise ValueError(f"rungs must be increasing, not {list(self.rungs)}")
        if self.rungs and self.rungs[-1] >= self.epochs:
            raise ValueError(f"rungs must lie before the last epoch ({self.epochs}), not {list(self.rungs)}")

    @property
    def space_name(self) -> str:
        """Name or path of the space; of a function, its name with parentheses: "wide_and_flat()"."""
        if isinstance(self.space, str):
            return self.space
        return f"{getattr(self.space, '__name__', type(self.space).__name__)}()"

    @property
    def named_files(self) -> tuple[tuple[str, str], ...]:
        """File names in place of a built-in data set, sampler or score, each with its kind."""
        named = {self.data: "data set", self.sampler: "sampler"} | dict.fromkeys(self.scores, "score")
        return tuple((kind, name) for name, kind in named.items() if is_file_name(name))

    @property
    def limits(self) -> Limits:
        """The study's caps as one noun."""
        return Limits(self.max_params, self.max_macs, self.max_latency_ms)

    @property
    def measures_latency(self) -> bool:
        """Whether latency is an objective or a limit and must be measured."""
        return latency_ms in self.objectives or self.max_latency_ms is not None

    @property
    def most_trials(self) -> int | None:
        """Total number of trials: `DEFAULT_TRIALS` if nothing else ends the study; None: no limit."""
        unlimited = self.trials is None and all(getattr(self, name) is None for name in OTHER_BUDGETS)
        return DEFAULT_TRIALS if unlimited else self.trials

    def row_of(self, index: int) -> str:
        """Name of the enqueued configuration at that index; "" without one."""
        name = next(islice(self.enqueue, index, None), "")
        return "" if is_unnamed(name) else name

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the enqueued configurations, without nameless ones."""
        return tuple(name for name in self.enqueue if not is_unnamed(name))


def with_engine(study: Study, engine: str | None) -> Study:
    """Returns a study with the engine that its latencies are measured in so far, if it names none itself."""
    return replace(study, engine=engine) if engine and study.engine == AUTO_ENGINE else study


def with_more(enqueue: Mapping[str, dict[str, Any]], more: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Appends configurations to others; nameless ones are numbered on."""
    found = dict(enqueue)
    for name, params in more.items():
        found[unnamed(len(found)) if is_unnamed(name) else name] = params
    return found


OTHER_BUDGETS = frozenset({"hours", "epochs_total", "until_stalled"})
"""Limits that may end a study, besides its number of trials."""

BUDGET_FIELDS = OTHER_BUDGETS | {"trials", "description", "paper"}
"""Fields that a resumed study may change: budget and presentation."""


@dataclass(frozen=True, config=NOUN)
class Sketch:
    """A file with computed studies: its description, and the plain fields of its calls."""

    description: str
    plain: tuple[dict[str, Any], ...]


@dataclass(frozen=True, config=NOUN)
class Cluster:
    """Resources and settings of a Ray cluster.

    Attributes:
        address: address of a running cluster ("auto": the cluster of this machine); "": a private local Ray.
        cpus_per_trial: CPU cores per trial, also as a fraction; they determine its threads.
        gpus_per_trial: GPUs per trial, also as a fraction. None: one if the cluster has any.
        concurrent: maximum number of trials at a time. None: as many as fit on the cluster at the start.
        max_failures: number of retries of a trial whose process or node was lost.
        storage_path: folder or URL for checkpoints that every node can write to; "": beside the trials.
        latency_node: part of the name of the processor or GPU to measure latency on, if nodes differ.
    """

    address: str = ""
    cpus_per_trial: PositiveReal = 1.0
    gpus_per_trial: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    concurrent: Positive | None = None
    max_failures: Annotated[int, Field(ge=0)] = 3
    storage_path: str = ""
    latency_node: str = ""


@dataclass(frozen=True, config=NOUN)
class RunOptions:
    """Options of a run: data, output, store and device. They are not part of a study."""

    data_root: Path = Path("data")
    download: bool = False
    output: Path = Path("runs")
    storage: str = ""
    device: str = "auto"
    threads: Positive | None = None
    cluster: Cluster = Cluster()

    @property
    def storage_url(self) -> str:
        """The store's URL: the given one, or a SQLite file beside the runs."""
        return self.storage or f"sqlite:///{self.output / 'studies.db'}"

    def trial_directory(self, study: str, number: int) -> Path:
        """Folder of a trial's artefacts."""
        return self.output / study / f"trial-{number:05d}"

    def replicate_directory(self, study: str, number: int, run: int) -> Path:
        """Folder of a replicate's artefacts; see `schema.divided`."""
        return self.output / study / REPLICATES / f"trial-{number:05d}-seed-{run}"


@dataclass(frozen=True, config=NOUN)
class TrialSpec:
    """Specification of a trial: all inputs of a worker besides the images.

    `checkpoint` is the path or URL of the trial's checkpoint at a rung, or "". `gpu_share` is the share of its GPU's
    memory that the trial may use. `row` is its name in tables, if any.
    """

    number: int
    candidate: Candidate
    study: Study
    seed: int = 0
    directory: Path | None = None
    device: str = "cpu"
    threads: Positive | None = None
    checkpoint: str = ""
    gpu_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    row: str = ""
