"""Summaries of the studies in a store: status, trials by state, and key figures of the front."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

Standing = Literal["running", "interrupted", "finished", "damaged", "foreign", "newer"]
"""Status of a study: a process runs it; it can be resumed; its budget is spent; it is unreadable; searchlab did not
create it; a newer version of searchlab wrote it."""


@dataclass(frozen=True)
class FrontFigures:
    """Number of points of a front, and its best value in each objective, by the objective's name."""

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
