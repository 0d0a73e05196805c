"""What a store holds, a line a study: how the study stands, how its trials ended, and its front in a few figures."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

Standing = Literal["running", "interrupted", "finished", "damaged", "foreign"]
"""How a study stands: a process works on it; it can be gone on with; its budget is spent; it cannot be read; it is
a study of Optuna's that searchlab did not make."""


@dataclass(frozen=True)
class FrontFigures:
    """How many points a front has, and the best that it reaches in each objective, by the objective's name."""

    points: int
    best: dict[str, float]


@dataclass(frozen=True)
class StoredStudy:
    """A study of a store. `detail` says more of its standing: by which process it runs, why it ended, what is damaged.

    `trials` are numbers of trials by state, `replicates` that of the trainings of `searchlab replicate`. `changed` is
    when a trial last began or ended, in local time; None where none did.
    """

    name: str
    standing: Standing
    detail: str = ""
    trials: dict[str, int] = field(default_factory=dict)
    replicates: int = 0
    changed: datetime | None = None
    front: FrontFigures | None = None


@dataclass(frozen=True)
class Stored:
    """All studies of a store, the one that changed last first, and where was looked: for the store, and for folders.

    `exists` is false where there is no store yet.
    """

    storage: str
    output: Path
    exists: bool
    studies: tuple[StoredStudy, ...] = ()
