"""What is run: the study, what a worker gets of it, and where it runs."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from searchlab.architecture import Positive
from searchlab.candidate import Candidate, PositiveReal
from searchlab.objective import Objective, accuracy, latency_ms
from searchlab.plain import NOUN


@dataclass(frozen=True, config=NOUN)
class Study:
    """A search: what may vary, on which images, to which ends, under which limits, for how long.

    `space` and `data` are names (or paths, or "folder:PATH"). `rungs` are epochs at which trials are compared.
    Operating points below `min_accuracy` (of the validation split) are of no interest to any front.
    `enqueue` holds parameters of the space that are tried first, the first one as trial 0, and `rows` what tables call
    them. `levels` is the number of thresholds per exit in the frontier search. `name` is filled from the file's name
    where it is empty. `max_images` trains on so many images (see `data.splits.limited`). With `curves`, validation
    accuracy is looked at after every epoch. `table` names the paper whose table the study fills.
    """

    space: str
    data: str
    objectives: Annotated[tuple[Objective, ...], Field(min_length=2, max_length=3)] = (
        accuracy,
        latency_ms,
    )
    name: str = ""
    description: str = ""
    epochs: Positive = 10
    trials: Positive = 20
    hours: PositiveReal | None = None
    max_params: Positive | None = None
    max_macs: Positive | None = None
    max_latency_ms: PositiveReal | None = None
    min_accuracy: Annotated[float, Field(ge=0, lt=1)] = 0.0
    sampler: str = "tpe"
    early_stopping: str = "none"
    rungs: tuple[Positive, ...] = ()
    seed: Annotated[int, Field(ge=0)] = 0
    reference: str = "resnet8"
    scores: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "margin",
        "max_softmax",
        "entropy",
        "max_logit",
    )
    levels: Annotated[int, Field(ge=2, le=1001)] = 101
    enqueue: tuple[dict[str, Any], ...] = ()
    rows: tuple[str, ...] = ()
    max_images: Positive | None = None
    curves: bool = False
    table: str = ""

    def __post_init__(self) -> None:
        names = [objective.name for objective in self.objectives]
        if len(set(names)) != len(names):
            raise ValueError(f"objectives must differ, not {names}")
        if list(self.rungs) != sorted(set(self.rungs)):
            raise ValueError(f"rungs must be increasing, not {list(self.rungs)}")
        if self.rungs and self.rungs[-1] >= self.epochs:
            raise ValueError(f"rungs must lie before the last epoch ({self.epochs}), not {list(self.rungs)}")
        if self.rows and (len(self.rows) != len(self.enqueue) or len(set(self.rows)) != len(self.rows)):
            raise ValueError(f"rows name the {len(self.enqueue)} enqueued configurations, each by its own name")

    @property
    def measures_latency(self) -> bool:
        """Whether latency is an objective or a limit, so that it must be measured."""
        return latency_ms in self.objectives or self.max_latency_ms is not None

    def row_of(self, trial: int) -> str:
        """What tables call the trial of that number; "" where it was not enqueued or has no name."""
        return self.rows[trial] if trial < len(self.rows) else ""


BUDGET_FIELDS = frozenset({"trials", "hours", "description", "rows", "table"})
"""Fields that a resumed study may change: how long it runs and how it is shown, not what it is."""


@dataclass(frozen=True, config=NOUN)
class RunOptions:
    """Where and on what a study runs; no part of what it is."""

    data_root: Path = Path("data")
    download: bool = False
    output: Path = Path("runs")
    storage: str = ""
    device: str = "auto"
    threads: Positive | None = None

    @property
    def storage_url(self) -> str:
        """The store's URL: the one given, or a SQLite file beside the runs."""
        return self.storage or f"sqlite:///{self.output / 'studies.db'}"

    def trial_directory(self, study: str, number: int) -> Path:
        """Where the artefacts of a trial lie."""
        return self.output / study / f"trial-{number:05d}"


@dataclass(frozen=True, config=NOUN)
class TrialSpec:
    """All that a worker needs to run one trial, besides the images.

    `reference_ms` is the reference's latency as the study first measured it (None: it has not yet), to which every
    later measurement is scaled.
    """

    number: int
    candidate: Candidate
    study: Study
    seed: int = 0
    directory: Path | None = None
    device: str = "cpu"
    threads: Positive | None = None
    reference_ms: float | None = None
