"""Learning-rate schedules over a phase, by name.

Each is stepped after every batch, except `ReduceLROnPlateau`, which is stepped after every epoch.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, ReduceLROnPlateau

from searchlab.candidate import Decay
from searchlab.errors import unknown

WARM_UP_SHARE = 0.25
"""Share of the steps in which one_cycle and triangular rise to the peak."""


@dataclass(frozen=True)
class Span:
    """Length of a schedule: epochs and steps per epoch. `decay` is for schedules that count epochs."""

    steps: int
    epochs: int
    decay: Decay

    @property
    def total(self) -> int:
        """Total number of steps."""
        return self.steps * self.epochs


def _triangle(step: int, steps: int) -> float:
    """Rises linearly to 1 in a quarter of the steps and falls to 0 after the last one, for any number of steps."""
    peak = max(1, round(steps * WARM_UP_SHARE))
    return min((step + 1) / peak, (steps - step) / (steps - peak + 1))


def _one_cycle(optimizer: Optimizer, span: Span) -> LRScheduler:
    """Rises and falls along cosines (Smith and Topin 2018). Torch's own divides by zero if the rise takes one step."""
    return LambdaLR(optimizer, lambda step: math.sin(math.pi / 2 * _triangle(step, span.total)) ** 2)


def _triangular(optimizer: Optimizer, span: Span) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: _triangle(step, span.total))


def _cosine(optimizer: Optimizer, span: Span) -> LRScheduler:
    return CosineAnnealingLR(optimizer, T_max=span.total)


def _constant(optimizer: Optimizer, span: Span) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: 1.0)


def _multi_step(optimizer: Optimizer, span: Span) -> LRScheduler:
    """Falls after each milestone, a share of the epochs (paper 004, section 2.2: after 15, 25, 35 and 45 of 50)."""
    # In floating point, 0.07 of 100 epochs is a little more than 7.
    milestones = [math.ceil(share * span.epochs - 1e-9) for share in span.decay.milestones]
    return _by_epoch(optimizer, span, lambda epoch: sum(epoch >= milestone for milestone in milestones))


def _every(optimizer: Optimizer, span: Span) -> LRScheduler:
    """Falls after every so many epochs (paper 002: GoogLeNet by 4 % every 8)."""
    return _by_epoch(optimizer, span, lambda epoch: epoch // span.decay.every)


def _by_epoch(optimizer: Optimizer, span: Span, times_lowered: Callable[[int], int]) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: span.decay.factor ** times_lowered(step // span.steps))


def _plateau(optimizer: Optimizer, span: Span) -> LRScheduler:
    """Falls when the validation error has not improved for more than `patience` epochs (paper 002)."""
    decay = span.decay
    return ReduceLROnPlateau(optimizer, factor=decay.factor, patience=decay.patience, threshold=0.0)


SCHEDULES: dict[str, Callable[[Optimizer, Span], LRScheduler]] = {
    "one_cycle": _one_cycle,
    "triangular": _triangular,
    "cosine": _cosine,
    "constant": _constant,
    "multi_step": _multi_step,
    "every": _every,
    "plateau": _plateau,
}


def check_schedule(name: str) -> None:
    """Raises UserError if no schedule has that name."""
    if name not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES, where="Training.schedule")


def scheduler(name: str, optimizer: Optimizer, span: Span) -> LRScheduler:
    """Makes the scheduler of that name over a span; the optimizer's rates are the peaks.

    Raises:
        UserError: no schedule has that name.
    """
    check_schedule(name)
    return SCHEDULES[name](optimizer, span)
