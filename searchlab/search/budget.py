"""Budget rules: decide from plain data whether a study ends, and why. No Optuna, Ray or torch here.

No trial begins once a limit is reached; running trials are finished. The first limit that is reached ends the study.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from searchlab.front.history import SearchHistory
from searchlab.study import Study

ROUNDING = 1e-12
"""Largest growth of a hypervolume (between 0 and 1) that counts as zero."""

UNTRAINED = 1000
"""Consecutive untrainable trials that end a study without a limit on trials; otherwise it might never end."""


@dataclass(frozen=True)
class Spent:
    """Use of a study's budget: ended trials, running trials, and the hours of this process."""

    history: SearchHistory
    running: int = 0
    hours: float = 0.0

    @property
    def trials(self) -> int:
        """Number of trials that ended or run."""
        return len(self.history.steps) + self.running

    @property
    def epochs(self) -> int:
        """Epochs trained, including those of stopped and failed trials."""
        return self.history.last.epochs if self.history.last else 0


def reason_to_end(study: Study, spent: Spent) -> str | None:
    """Returns why no more trials begin, as a clause for the user; None while the study continues."""
    return next((reason for rule in BUDGET_RULES if (reason := rule(study, spent))), None)


def _trials(study: Study, spent: Spent) -> str | None:
    most = study.most_trials
    return f"{spent.trials} of {most} trials" if most is not None and spent.trials >= most else None


def _hours(study: Study, spent: Spent) -> str | None:
    return f"{study.hours:g} h have passed" if study.hours is not None and spent.hours >= study.hours else None


def _epochs(study: Study, spent: Spent) -> str | None:
    """Running trials count in full, so that their number never exceeds the limit."""
    most = study.epochs_total
    if most is None or spent.epochs + spent.running * study.epochs < most:
        return None
    return f"{spent.epochs} of {most} epochs are trained"


def _stalled(study: Study, spent: Spent) -> str | None:
    window = study.until_stalled
    volumes, noise = [step.hypervolume for step in spent.history.trained], spent.history.noise if window else 0.0
    if window is None or stalled_for(volumes, noise) < window:
        return None
    who = "the last trained trial" if window == 1 else f"the last {window} trained trials"
    if not spent.history.front:
        return f"stalled: {who} added no point to the front"
    grown = volumes[-1] - (volumes[-1 - window] if window < len(volumes) else 0.0)
    return f"stalled: {who} added {grown:.4f} to the hypervolume, whose standard error is {noise:.4f}"


def _untrained(study: Study, spent: Spent) -> str | None:
    last = spent.history.steps[-UNTRAINED:]
    if study.most_trials is not None or len(last) < UNTRAINED or any(step.record.epochs for step in last):
        return None
    return f"none of the last {UNTRAINED} trials could be trained ({last[-1].record.reason})"


BUDGET_RULES: tuple[Callable[[Study, Spent], str | None], ...] = (_trials, _hours, _epochs, _stalled, _untrained)
"""All budget rules; the first that applies gives the reason."""


def stalled_for(volumes: Sequence[float], noise: float) -> int:
    """Returns how many of the last trials together added no more than `noise`; `volumes` follow each trial."""
    before = [0.0, *volumes[:-1]]
    return sum(volumes[-1] - volume <= noise + ROUNDING for volume in before[: len(volumes)])
