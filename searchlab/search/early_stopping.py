"""Rules that end weak trials at a rung: plain data in, decision out. No Optuna, Ray or torch here.

A rule looks at what the trials at a rung showed, each the values_PM of its frontier (P points by M objectives, finite,
each to be minimised; no points at all is a frontier too), the one that is judged last. The order of the others is of no
matter, nor is the unit of an objective. Every rule lets the first `FIRST` trials at a rung go on. A trial that does not
come by a rung is not seen there.
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
"""So many times as far into a training lies the next rung (Jamieson and Talwalkar 2016); by one number, one trial in so
many goes on."""

HALF = 2
"""By sets of objectives, one trial in so many goes on at least."""

FIRST = 3
"""So many trials at a rung always go on: beside fewer, none can be said to be weak."""

EARLIEST = 0.1
"""The share of a training before which a network says too little of what it will be: no rung by default."""

Rule = Callable[[Sequence[Values], Sequence[Objective]], bool]
"""(what the trials at a rung showed, the one that is judged last; objectives) to whether that one goes on."""


def _none(shown: Sequence[Values], objectives: Sequence[Objective]) -> bool:
    """Every trial goes on."""
    return True


def _moasha(shown: Sequence[Values], objectives: Sequence[Objective]) -> bool:
    """Asynchronous successive halving (Li et al. 2020) of frontiers: those that add most to the rung's front go on.

    So does every trial that adds to it at all: a front has room for many, and a network that alone is best somewhere is
    not weak, however many others are best elsewhere.
    """
    ranks = set_ranks(shown, objectives)
    adds = ranks[-1][0] < 0
    return adds or _among_the_best(ranks, HALF)


def _median_hv(shown: Sequence[Values], objectives: Sequence[Objective]) -> bool:
    """The median stopping rule (Golovin et al. 2017) on the hypervolume of each trial's own frontier."""
    *earlier, own = volumes(shown, objectives).tolist()
    return len(earlier) < FIRST or round(own - float(np.median(earlier)), DIGITS) >= 0


def _accuracy_asha(shown: Sequence[Values], objectives: Sequence[Objective]) -> bool:
    """Asynchronous successive halving as usual, by each trial's best accuracy (the first objective where none is)."""
    column = list(objectives).index(accuracy) if accuracy in objectives else 0
    return _among_the_best([(float(values[:, column].min(initial=np.inf)),) for values in shown], ETA)


def _among_the_best(ranks: Sequence[Rank], one_in: int) -> bool:
    """Whether fewer trials are better than the last than may go on: one in so many, rounded down, at least one."""
    better = sum(rank < ranks[-1] for rank in ranks)
    return len(ranks) <= FIRST or better < max(1, len(ranks) // one_in)


EARLY_STOPPING: dict[str, Rule] = {
    "none": _none,
    "moasha": _moasha,
    "median-hv": _median_hv,
    "accuracy-asha": _accuracy_asha,
}


def rule_for(name: str) -> Rule:
    """The rule of that name.

    Raises:
        UserError: there is none.
    """
    if name not in EARLY_STOPPING:
        raise unknown("early stopping rule", name, EARLY_STOPPING, where="Study.early_stopping")
    return EARLY_STOPPING[name]


def default_rungs(epochs: int, eta: int = ETA) -> tuple[int, ...]:
    """Epochs at which trials of so many epochs are compared: a third of them, a ninth ..., none before a tenth.

    14 epochs have rungs at 2 and 5. Empty where there are too few epochs to compare anything before the last.
    """
    assert epochs >= 1 and eta >= 2, (epochs, eta)
    rungs: set[int] = set()
    at = epochs / eta
    while at >= max(1.0, EARLIEST * epochs):
        rungs.add(round(at))
        at /= eta
    return tuple(sorted(rungs))


def with_rungs(study: Study) -> Study:
    """The study with the default rungs, where its rule stops trials and it names none."""
    wants = study.early_stopping != "none" and not study.rungs
    return replace(study, rungs=default_rungs(study.epochs)) if wants else study


@dataclass(frozen=True, config=NOUN)
class RungReport:
    """What a trial showed at a rung, in the study's objectives (each to be minimised), and whether it went on."""

    number: int
    epoch: int
    values: tuple[tuple[float, ...], ...]
    goes_on: bool


class Stopper:
    """A rule with all it has seen: `reports` are its whole state, so that it goes on from those that were stored.

    What a trial showed first at a rung stands, and so does the decision: a trial that is trained again, because the
    process that began it died, goes the way it went.
    """

    def __init__(self, rule: Rule, objectives: Sequence[Objective], reports: Sequence[RungReport] = ()) -> None:
        self.rule = rule
        self.objectives = objectives
        self.reports = list(reports)

    def learn(self, reports: Sequence[RungReport]) -> None:
        """Takes in what the store says of trials at rungs, in place of what was seen of them here."""
        known = {(report.number, report.epoch) for report in reports}
        self.reports = [report for report in self.reports if (report.number, report.epoch) not in known] + list(reports)

    def decided(self, number: int, epoch: int) -> RungReport | None:
        """What was decided of a trial at a rung; None where it was not judged there yet."""
        return next((report for report in self.reports if (report.number, report.epoch) == (number, epoch)), None)

    def judge(self, number: int, epoch: int, values_PM: Values) -> RungReport:
        """What trial `number` shows at a rung, with the decision. A point that lacks an objective (inf) is left out."""
        rung = {report.number: report for report in self.reports if report.epoch == epoch}
        if number not in rung:
            own_PM = values_PM[np.isfinite(values_PM).all(axis=1)]
            shown = [*(self._values(report) for report in rung.values()), own_PM]
            goes_on = self.rule(shown, self.objectives)
            rung[number] = RungReport(number, epoch, tuple(map(tuple, own_PM.tolist())), goes_on)
            self.reports.append(rung[number])
        return rung[number]

    def forget(self, number: int) -> None:
        """Compares no trial with this one any more: it failed, so what it showed cannot be had."""
        self.reports = [report for report in self.reports if report.number != number]

    def _values(self, report: RungReport) -> Values:
        return np.asarray(report.values, dtype=np.float64).reshape(-1, len(self.objectives))
