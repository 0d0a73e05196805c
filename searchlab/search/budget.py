"""What ends a study: plain data in, reason out. No Optuna, Ray or torch here.

No trial begins once a limit is reached; one that has begun is finished. Whichever limit is reached first counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from searchlab.front.history import SearchHistory
from searchlab.study import Study

ROUNDING = 1e-12
"""No growth of a hypervolume, which is between 0 and 1."""

UNTRAINED = 1000
"""So many trials in a row that could not be trained end a study without a limit on trials, which might else never."""


@dataclass(frozen=True)
class Spent:
    """What a study has spent: its trials that ended, how many run, and the hours since this process took it up."""

    growth: SearchHistory
    running: int = 0
    hours: float = 0.0

    @property
    def trials(self) -> int:
        """Trials that ended or run."""
        return len(self.growth.steps) + self.running

    @property
    def epochs(self) -> int:
        """Epochs that were trained: stopped and failed trials count what they used."""
        return self.growth.last.epochs if self.growth.last else 0


def reason_to_end(study: Study, spent: Spent) -> str | None:
    """Why no more trials begin, as a clause for the user; None while the study goes on."""
    return next((reason for rule in BUDGET_RULES if (reason := rule(study, spent))), None)


def _trials(study: Study, spent: Spent) -> str | None:
    most = study.most_trials
    return f"{spent.trials} of {most} trials" if most is not None and spent.trials >= most else None


def _hours(study: Study, spent: Spent) -> str | None:
    return f"{study.hours:g} h are over" if study.hours is not None and spent.hours >= study.hours else None


def _epochs(study: Study, spent: Spent) -> str | None:
    """Trials that run are counted in full, so that no more begin at once than the limit can hold."""
    most = study.epochs_total
    if most is None or spent.epochs + spent.running * study.epochs < most:
        return None
    return f"{spent.epochs} epochs are trained, of {most} in all"


def _stalled(study: Study, spent: Spent) -> str | None:
    window = study.until_stalled
    volumes, noise = [step.hypervolume for step in spent.growth.trained], spent.growth.noise if window else 0.0
    if window is None or stalled_for(volumes, noise) < window:
        return None
    who = "the last trial that was trained" if window == 1 else f"the last {window} trials that were trained"
    if not spent.growth.front:
        return f"stalled: {who} brought no point to the front"
    grown = volumes[-1] - (volumes[-1 - window] if window < len(volumes) else 0.0)
    return f"stalled: {who} added {grown:.4f} to the hypervolume, whose standard error is {noise:.4f}"


def _untrained(study: Study, spent: Spent) -> str | None:
    last = spent.growth.steps[-UNTRAINED:]
    if study.most_trials is not None or len(last) < UNTRAINED or any(step.record.epochs for step in last):
        return None
    return f"none of the last {UNTRAINED} trials could be trained ({last[-1].record.reason})"


BUDGET_RULES: tuple[Callable[[Study, Spent], str | None], ...] = (_trials, _hours, _epochs, _stalled, _untrained)
"""What may end a study; the first that does gives the reason."""


def stalled_for(volumes: Sequence[float], noise: float) -> int:
    """How many of the last trials together added no more than `noise`; `volumes` are hypervolumes after each trial."""
    before = [0.0, *volumes[:-1]]
    return sum(volumes[-1] - volume <= noise + ROUNDING for volume in before[: len(volumes)])
