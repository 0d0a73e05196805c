"""Learning rates over the steps of a phase: name to a torch scheduler that is stepped after every batch."""

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler

from searchlab.errors import unknown

WARM_UP_SHARE = 0.25
"""Share of the steps over which one_cycle and triangular climb to the peak."""


def _triangle(step: int, steps: int) -> float:
    """Up to 1 in a quarter of the steps and down again, 0 after the last one. Any number of steps will do."""
    peak = max(1, round(steps * WARM_UP_SHARE))
    return min((step + 1) / peak, (steps - step) / (steps - peak + 1))


def _one_cycle(optimizer: Optimizer, steps: int) -> LRScheduler:
    """Cosines up and down (Smith and Topin 2018). Torch's own divides by zero where the climb takes one step."""
    return LambdaLR(optimizer, lambda step: math.sin(math.pi / 2 * _triangle(step, steps)) ** 2)


def _triangular(optimizer: Optimizer, steps: int) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: _triangle(step, steps))


def _cosine(optimizer: Optimizer, steps: int) -> LRScheduler:
    return CosineAnnealingLR(optimizer, T_max=steps)


def _constant(optimizer: Optimizer, steps: int) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: 1.0)


SCHEDULES: dict[str, Callable[[Optimizer, int], LRScheduler]] = {
    "one_cycle": _one_cycle,
    "triangular": _triangular,
    "cosine": _cosine,
    "constant": _constant,
}


def scheduler(name: str, optimizer: Optimizer, steps: int) -> LRScheduler:
    """The scheduler of that name over so many steps; the optimizer's rates are the peaks.

    Raises:
        UserError: no schedule has that name.
    """
    if name not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES, where="Training.schedule")
    return SCHEDULES[name](optimizer, steps)
