"""Rules that end weak trials at a rung: plain data in, decision out. No Optuna, Ray or torch here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from searchlab.errors import unknown
from searchlab.operating_point import Frontier


@dataclass(frozen=True)
class RungReport:
    """The frontier that a trial showed at a rung."""

    number: int
    epoch: int
    frontier: Frontier


Rule = Callable[[RungReport, Sequence[RungReport]], bool]
"""(this report, all earlier reports of other trials at the same rung) to whether the trial goes on."""


def _none(report: RungReport, others: Sequence[RungReport]) -> bool:
    return True


EARLY_STOPPING: dict[str, Rule] = {"none": _none}


def rule_for(name: str) -> Rule:
    """The rule of that name.

    Raises:
        UserError: there is none.
    """
    if name not in EARLY_STOPPING:
        raise unknown("early stopping rule", name, EARLY_STOPPING, where="Study.early_stopping")
    return EARLY_STOPPING[name]
