"""Estimates of the time left for a trial and a study, from epochs and trials so far. None without data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from searchlab.record import TrialRecord
from searchlab.study import Study

TRIAL_FROM_S, STUDY_FROM_S = 5.0, 60.0
"""Seconds of training before a trial's time left is reported; seconds of a trial before a study's is, if none ended."""

WORTH_S = 10.0
"""Shortest time left that is reported."""


@dataclass
class Pace:
    """Pace of a trial: when its training began and each of its epochs ended, on one clock."""

    started: float
    training: float | None = None
    ends: list[tuple[int, float]] = field(default_factory=list)

    def trains(self, now: float) -> None:
        """Registers that the training begins or continues."""
        if self.training is None:
            self.training = now

    def ended(self, epoch: int, now: float) -> None:
        """Registers the end of an epoch."""
        self.trains(now)
        self.ends.append((epoch, now))

    def left_s(self, epochs: int, now: float) -> float | None:
        """Returns the seconds until the last epoch, by the epochs so far without the first, which warms up."""
        if len(self.ends) < 2 or self.training is None or now - self.training < TRIAL_FROM_S:
            return None
        (first, began), (last, at) = self.ends[0], self.ends[-1]
        each_s = (at - began) / (last - first)
        return max(0.0, each_s * max(0, epochs - last) - (now - at))


@dataclass(frozen=True)
class Underway:
    """A running trial: its time so far, and its time left, if known."""

    elapsed_s: float
    left_s: float | None = None


def study_left_s(
    study: Study, ended: Sequence[TrialRecord], running: Sequence[Underway], spent_s: float
) -> float | None:
    """Returns the seconds until the study's first limit on trials, epochs or hours; `spent_s` counts for hours.

    Assumes that trials take as long as the ended ones and the running ones with a known end, on average, and that as
    many run at a time as now. A limit on stalled trials may end the study earlier: see `at_most`.
    """
    known = [each.elapsed_s + each.left_s for each in running if each.left_s is not None]
    trained = [record for record in ended if record.epochs]
    if not trained and not (known and max(each.elapsed_s for each in running) >= STUDY_FROM_S):
        return None
    each_s = fmean([*(record.seconds.total for record in ended), *known])
    epochs = fmean(record.epochs for record in trained) if trained else study.epochs
    limits = [
        _until_s(trials, each_s, running)
        for trials in (
            None if study.most_trials is None else study.most_trials - len(ended) - len(running),
            None if study.epochs_total is None else _trials_for(study, ended, running, epochs),
        )
        if trials is not None
    ]
    if study.hours is not None:
        limits.append(max(0.0, 3600 * study.hours - spent_s))
    return min(limits, default=None)


def _trials_for(study: Study, ended: Sequence[TrialRecord], running: Sequence[Underway], epochs: float) -> int:
    """Returns how many trials of so many epochs begin before the study's limit on epochs; see `budget`."""
    assert study.epochs_total is not None
    free = study.epochs_total - sum(record.epochs for record in ended) - study.epochs * len(running)
    return math.ceil(max(0, free) / epochs)


def _until_s(trials: int, each_s: float, running: Sequence[Underway]) -> float:
    left_s = [max(0.0, each_s - u.elapsed_s) if u.left_s is None else u.left_s for u in running]
    return max((sum(left_s) + max(0, trials) * each_s) / max(1, len(running)), *left_s, 0.0)


def repeated_left_s(done: Sequence[tuple[float, float]], left: Sequence[float], elapsed_s: float) -> float:
    """Returns the seconds left for repeated trainings, from the seconds that each took the first time.

    `done` has, for each ended training, its seconds now and the first time; `elapsed_s` is the time that the first of
    `left` has run.
    """
    before_s = sum(before for _, before in done)
    slower = sum(took for took, _ in done) / before_s if before_s > 0 else 1.0
    return max(0.0, slower * sum(left) - elapsed_s)


def at_most(study: Study) -> bool:
    """Whether the study may end earlier, because it stalls."""
    return study.until_stalled is not None


def left_words(left_s: float | None, *, at_most: bool = False) -> str:
    """Returns "about 12 min left"; "" if the time is unknown or too short to report."""
    if left_s is None or left_s < WORTH_S:
        return ""
    minutes, hours = left_s / 60, left_s / 3600
    if left_s < 55:
        words = f"{10 * max(1, round(left_s / 10))} s"
    elif minutes < 90:
        words = f"{max(1, round(minutes))} min"
    elif hours < 36:
        words = f"{hours:.1f} h" if hours < 10 else f"{hours:.0f} h"
    else:
        words = f"{hours / 24:.1f} days"
    return f"{'at most ' if at_most else ''}about {words} left"
