"""Early-stopping rules at a rung: decide from plain data. No Optuna, Ray or torch here.

A rule gets the frontiers of the trials at a rung; the judged trial is last. A frontier is values_PM: P points by M
objectives, finite, each to be minimised; it may have no points. The order of the other trials and the units of
objectives do not matter. Every rule lets the first `FIRST` trials at a rung continue. Trials that did not reach the
rung are not compared.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from pydantic.dataclasses import dataclass

from searchlab.errors import unknown
from searchlab.front.pareto import Values
from searchlab.objective import Objective, accuracy
from searchlab.search.rung_ranking import DIGITS, Rank, set_ranks, volumes
from searchlab.serialization import NOUN
from searchlab.study import Study

ETA = 3
"""Reduction factor between rungs (Jamieson and Talwalkar 2016); rules on one number keep one trial in so many."""

HALF = 2
"""Reduction factor of rules on sets of objectives: at least one trial in so many continues."""

FIRST = 3
"""Trials at a rung that always continue: with fewer there is nothing to compare with."""

EARLIEST = 0.1
"""Least share of a training for a default rung: before it, results say too little."""

Rule = Callable[[Sequence[Values], Sequence[Objective]], bool]
"""Function of (frontiers at the rung, the judged one last; objectives) to whether that trial continues."""


def _none(shown: Sequence[Values], objectives: Sequence[Objective]) -> bool:
    """Lets every trial continue."""
    return True


def _moasha(shown: Sequence[Values], objectives: Sequence[Objective]) -> bool:
    """Asynchronous successive halving (Li et al. 2020) of frontiers: trials that add most to the front continue.

    A trial that adds anything to the front always continues: a front needs many networks, and one that is the best in
    any region of cost is not weak.
    """
    ranks = set_ranks(shown, objectives)
    adds = ranks[-1][0] < 0
    return adds or _among_the_best(ranks, HALF)


def _median_hv(shown: Sequence[Values], objectives: Sequence[Objective]) -> bool:
    """Median stopping rule (Golovin et al. 2017) on the hypervolume of each trial's own frontier."""
    *earlier, own = volumes(shown, objectives).tolist()
    return len(earlier) < FIRST or round(own - float(np.median(earlier)), DIGITS) >= 0


def _accuracy_asha(shown: Sequence[Values], objectives: Sequence[Objective]) -> bool:
    """Asynchronous successive halving by best accuracy (by the first objective, if accuracy is none)."""
    column = list(objectives).index(accuracy) if accuracy in objectives else 0
    return _among_the_best([(float(values[:, column].min(initial=np.inf)),) for values in shown], ETA)


def _among_the_best(ranks: Sequence[Rank], one_in: int) -> bool:
    """Whether the last trial is among the best share: one in so many, rounded down, at least one."""
    better = sum(rank < ranks[-1] for rank in ranks)
    return len(ranks) <= FIRST or better < max(1, len(ranks) // one_in)


EARLY_STOPPING: dict[str, Rule] = {
    "none": _none,
    "moasha": _moasha,
    "median-hv": _median_hv,
    "accuracy-asha": _accuracy_asha,
}


def rule_for(name: str) -> Rule:
    """Returns the rule of that name.

    Raises:
        UserError: the name is unknown.
    """
    if name not in EARLY_STOPPING:
        raise unknown("early stopping rule", name, EARLY_STOPPING, where="Study.early_stopping")
    return EARLY_STOPPING[name]


def default_rungs(epochs: int, eta: int = ETA) -> tuple[int, ...]:
    """Returns the default rungs: a third of the epochs, a ninth ..., none before a tenth.

    14 epochs have rungs at 2 and 5. Empty if there are too few epochs.
    """
    assert epochs >= 1 and eta >= 2, (epochs, eta)
    rungs: set[int] = set()
    at = epochs / eta
    while at >= max(1.0, EARLIEST * epochs):
        rungs.add(round(at))
        at /= eta
    return tuple(sorted(rungs))


def with_rungs(study: Study) -> Study:
    """Adds the default rungs to a study whose rule stops trials and that names none."""
    wants = study.early_stopping != "none" and not study.rungs
    return replace(study, rungs=default_rungs(study.epochs)) if wants else study


@dataclass(frozen=True, config=NOUN)
class RungReport:
    """Values of a trial at a rung, in the study's objectives (each minimised), and whether it continued."""

    number: int
    epoch: int
    values: tuple[tuple[float, ...], ...]
    goes_on: bool


class Stopper:
    """A rule with its history: `reports` are its whole state, restored from the store.

    The first report and decision of a trial at a rung are final. A trial that is trained again after its process died
    gets the same decision.
    """

    def __init__(self, rule: Rule, objectives: Sequence[Objective], reports: Sequence[RungReport] = ()) -> None:
        self.rule = rule
        self.objectives = objectives
        self.reports = list(reports)

    def learn(self, reports: Sequence[RungReport]) -> None:
        """Replaces the reports of trials at rungs with those of the store."""
        known = {(report.number, report.epoch) for report in reports}
        self.reports = [report for report in self.reports if (report.number, report.epoch) not in known] + list(reports)

    def decided(self, number: int, epoch: int) -> RungReport | None:
        """Returns the decision on a trial at a rung; None if it was not judged there."""
        return next((report for report in self.reports if (report.number, report.epoch) == (number, epoch)), None)

    def judge(self, number: int, epoch: int, values_PM: Values) -> RungReport:
        """Judges trial `number` at a rung. A point that lacks an objective (inf) is left out."""
        rung = {report.number: report for report in self.reports if report.epoch == epoch}
        if number not in rung:
            own_PM = values_PM[np.isfinite(values_PM).all(axis=1)]
            shown = [*(self._values(report) for report in rung.values()), own_PM]
            goes_on = self.rule(shown, self.objectives)
            rung[number] = RungReport(number, epoch, tuple(map(tuple, own_PM.tolist())), goes_on)
            self.reports.append(rung[number])
        return rung[number]

    def forget(self, number: int) -> None:
        """Removes a failed trial from the comparison: its results cannot be reached."""
        self.reports = [report for report in self.reports if report.number != number]

    def _values(self, report: RungReport) -> Values:
        return np.asarray(report.values, dtype=np.float64).reshape(-1, len(self.objectives))
