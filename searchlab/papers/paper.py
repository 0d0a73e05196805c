"""Nouns of a paper's study: tables, findings about a trial, and the paper that defines both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from pydantic import model_validator
from pydantic.dataclasses import dataclass as noun

from searchlab.data.splits import Dataset
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.operating_point import Estimate
from searchlab.record import NetworkCost, TrialRecord
from searchlab.serialization import NOUN
from searchlab.study import Study

Cell = str | int | float | Estimate | None
"""Content of a cell, in the unit of its column; None if missing."""

Findings = dict[str, Any]
"""Result of the evaluation of one trial: plain JSON."""


@noun(frozen=True, config=NOUN)
class Table:
    """A table: columns, rows of cells, and notes below them."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"every row of {self.title!r} needs {len(self.columns)} cells")
        return self


@dataclass(frozen=True)
class Finished:
    """A study with its records so far, and the findings by number of the trial."""

    study: Study
    records: tuple[TrialRecord, ...] = ()
    findings: Mapping[int, Findings] = field(default_factory=dict)

    def trial(self, row: str) -> TrialRecord | None:
        """Returns the record of the configuration enqueued under that name; None unless it is complete."""
        record = self._newest(row)
        return record if record and record.state == "complete" else None

    def found(self, row: str) -> Findings | None:
        """Returns the findings about that configuration, if any."""
        record = self._newest(row)
        return self.findings.get(record.number) if record else None

    def _newest(self, row: str) -> TrialRecord | None:
        """Returns the newest record of a row: a changed configuration has an older trial, too."""
        return max((r for r in self.records if r.row == row), key=lambda record: record.number, default=None)


@dataclass(frozen=True)
class Subject:
    """A complete trial to evaluate: `network` has its trained weights, in eval mode, on `device`."""

    study: Study
    record: TrialRecord
    network: EarlyExitNetwork
    dataset: Dataset
    device: torch.device
    threads: int


@dataclass(frozen=True)
class Paper:
    """The tables of a paper, ours beside the published figures; `PAPER` in its `tables.py`.

    `tables` is pure: it gets every study of the paper's file, run or not. `evaluate` is called once per complete trial
    after the training; it may read the test split, and measure inside `lab.measuring()`. `params` are the paper's own
    parameter counts, by row.
    """

    title: str
    tables: Callable[[Sequence[Finished]], tuple[Table, ...]]
    evaluate: Callable[[Subject], Findings] | None = None
    params: Mapping[str, Cell] = field(default_factory=dict)


def cost_table(study: Study, costs: Sequence[NetworkCost], published: Mapping[str, Cell]) -> Table:
    """Table of the parameters and MACs of every enqueued configuration, beside the `published` parameters by row."""
    names = tuple(study.row_of(number) or f"configuration {number}" for number in range(len(costs)))
    theirs = ("parameters (paper)",) if published else ()
    rows = tuple(
        (name, *(published.get(name) for _ in theirs), cost.params, cost.macs)
        for name, cost in zip(names, costs, strict=True)
    )
    columns = ("configuration", *theirs, "parameters", "MACs")
    cap = (f"cap: {study.max_params:,} parameters",) if study.max_params else ()
    return Table(f"{study.name}: {study.space_name} on {study.data}", columns, rows, cap)
