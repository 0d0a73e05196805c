"""Enqueued configurations: each is tried once; a mark connects it with its trial, whatever its number.

A row of a table belongs to the trial that was enqueued for it. Trials that an earlier version enqueued have no mark;
they are identified by their enqueued parameters.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial
from pydantic.dataclasses import dataclass as noun

from searchlab.search.attributes import read_noun
from searchlab.serialization import NOUN, stable_id
from searchlab.study import Study

MARK, ROW = "enqueued", "row"
"""User attributes of a trial: its Mark, and the name of its row, if any."""

FIXED = "fixed_params"
"""Optuna's attribute of an enqueued trial with its parameters."""


@noun(frozen=True, config=NOUN)
class Mark:
    """Identifies an enqueued configuration: the row's name, the id of the parameters, and `nth` among equal ones.

    `drawn` marks the random first trials of a search, which differ in `nth` only.
    """

    row: str = ""
    parameters: str = ""
    nth: int = 0
    drawn: bool = False


@dataclass(frozen=True)
class Enqueued:
    """Parameters to try, with the mark of their trial."""

    mark: Mark
    params: dict[str, Any]

    @property
    def attributes(self) -> dict[str, Any]:
        """Returns the initial user attributes of the trial."""
        return {MARK: vars(self.mark)} | ({ROW: self.mark.row} if self.mark.row else {})


def configurations(study: Study) -> list[Enqueued]:
    """Returns the configurations that the study enqueues, in its order."""
    found, seen = [], Counter[str]()
    for index, params in enumerate(study.enqueue.values()):
        row, known = study.row_of(index), stable_id(params)
        found.append(Enqueued(Mark(row, known, 0 if row else seen[known]), params))
        seen[known] += not row
    return found


def drawn(first: Iterable[dict[str, Any]]) -> list[Enqueued]:
    """Returns the random first trials."""
    return [Enqueued(Mark(nth=nth, drawn=True), params) for nth, params in enumerate(first)]


def marked(trials: Sequence[FrozenTrial]) -> dict[int, Mark]:
    """Returns the marks of trials, by their numbers."""
    return {t.number: read_noun(Mark, t.user_attrs, MARK, f"trial {t.number}") for t in trials if MARK in t.user_attrs}


def unmarked(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Returns the trials that an earlier version enqueued."""
    return [trial for trial in trials if FIXED in trial.system_attrs and MARK not in trial.user_attrs]


def by_parameters(trials: Sequence[FrozenTrial], study: Study) -> dict[int, Mark]:
    """Returns marks for unmarked trials: of the configuration with the same parameters, else of a random trial."""
    left, found, others = [each.mark for each in configurations(study)], {}, 0
    for trial in trials:
        known = stable_id(trial.system_attrs[FIXED])
        mark = next((mark for mark in left if mark.parameters == known), None)
        if mark is None:
            mark, others = Mark(nth=others, drawn=True), others + 1
        else:
            left.remove(mark)
        found[trial.number] = mark
    return found
