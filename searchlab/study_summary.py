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
    """A study of a store. `detail` explains its status: which process runs it, why it ended, or what is damaged.

    `trials` is the number of trials by state, `replicates` the number of trainings of `searchlab replicate`. `changed`
    is when a trial last began or ended, in local time; None without trials. `profiles` are the names of its device
    profiles.
    """

    name: str
    standing: Standing
    detail: str = ""
    trials: dict[str, int] = field(default_factory=dict)
    replicates: int = 0
    changed: datetime | None = None
    front: FrontFigures | None = None
    profiles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stored:
    """All studies of a store, the one that changed last first, with the URL of the store and the output folder.

    `exists` is false if there is no store yet.
    """

    storage: str
    output: Path
    exists: bool
    studies: tuple[StoredStudy, ...] = ()
