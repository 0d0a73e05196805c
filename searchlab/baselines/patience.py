"""Patience: leave when several exits in a row agree (Zhou et al. 2020, PABEE, section 3.2).

Shapes: N samples, K exits, E early ones.
"""

from dataclasses import dataclass

import numpy as np

from searchlab.baselines.policy import Taken, first_exit
from searchlab.exits.frontier import FrontierSettings
from searchlab.exits.table import ExitTable
from searchlab.record import Profile


@dataclass(frozen=True)
class Patience:
    """Leave at the first exit that predicts the same class as the `agreeing` - 1 exits before it."""

    agreeing: int

    @property
    def scores(self) -> tuple[str, ...]:
        """Finding the class costs as much as finding the highest logit."""
        return ("max_logit",)

    @property
    def exits(self) -> None:
        """All exits are in use."""
        return None

    def leaves_at(self, table: ExitTable) -> Taken:
        """Returns the first exit at the end of a long enough streak, else the last exit."""
        class_NK = table.logits_NKC.argmax(axis=2)
        streak_NK = np.ones_like(class_NK)
        for k in range(1, table.exits):
            same_N = class_NK[:, k] == class_NK[:, k - 1]
            streak_NK[:, k] = np.where(same_N, streak_NK[:, k - 1] + 1, 1)
        return first_exit(streak_NK[:, :-1] >= self.agreeing)


def patience(table: ExitTable, profile: Profile, settings: FrontierSettings) -> tuple[Patience, ...]:
    """Returns every patience from 1 (leave at once) to K (never leave early). Nothing is fitted.

    The paper counts agreements, one fewer than exits that agree.
    """
    return tuple(Patience(agreeing) for agreeing in range(1, table.exits + 1))
