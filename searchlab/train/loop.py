"""The training loop, the only one.

Shape suffixes: N images, C channels, H and W pixels.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from searchlab.candidate import Training
from searchlab.data.batches import Batch
from searchlab.errors import TrialFailure
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.record import Epoch
from searchlab.train.learning import LossFunction, loss_function, set_learning
from searchlab.train.progress import Progress, Schedule
from searchlab.train.recipes import optimizer_of, recipe_of
from searchlab.train.regimes import Phase
from searchlab.train.schedules import Span, scheduler


@dataclass(frozen=True)
class BatchSource:
    """Source of batches: `batches(epoch)` yields `steps` pairs (images_NCHW, labels_N) on the device.

    Epochs are counted from `first`: how many there were before this loop.
    """

    batches: Callable[[int], Iterator[Batch]]
    steps: int
    first: int = 0


def _nothing() -> None:
    pass


def _silent(phase: str) -> None:
    pass


def _go_on(epoch: Epoch, network: EarlyExitNetwork) -> bool:
    return True


def _not_given(network: EarlyExitNetwork) -> float:
    raise AssertionError("this schedule needs Hooks.validation_error")


@dataclass(frozen=True)
class Hooks:
    """Callbacks of the loop.

    `on_step` is called after every step; it may raise to end the training. `on_epoch` is called after every epoch with
    the averaged network (the EMA model); False ends the training. `validation_error`, a share from 0 to 1, is called
    after every epoch by schedules that depend on it. `on_phase` receives the name of a phase that is not an epoch (see
    `phases`). With `progress` of an earlier process, `on_epoch` is called again for its epochs, with the restored
    network.
    """

    on_step: Callable[[], None] = _nothing
    on_epoch: Callable[[Epoch, EarlyExitNetwork], bool] = _go_on
    validation_error: Callable[[EarlyExitNetwork], float] = _not_given
    progress: Progress = field(default_factory=Progress)
    on_phase: Callable[[str], None] = _silent


@dataclass(frozen=True)
class Trained:
    """Result of the loop: the averaged network in eval mode, the curve, and whether a hook stopped it."""

    network: EarlyExitNetwork
    curve: tuple[Epoch, ...]
    stopped: bool


def train(
    network: EarlyExitNetwork,
    phases: Sequence[Phase],
    training: Training,
    source: BatchSource,
    hooks: Hooks,
    bf16: bool,
) -> Trained:
    """Trains `network` in place, phase by phase, and keeps a moving average of its weights and statistics.

    Raises:
        TrialFailure: the loss is not finite.
    """
    averaged = AveragedModel(network, multi_avg_fn=_warmed_up_ema(training.ema), use_buffers=True)
    judged = cast(EarlyExitNetwork, averaged.module)
    loop = hooks.progress.enter(network, averaged)
    curve, begin = loop.curve, 0
    for phase in phases:
        end = begin + phase.epochs
        set_learning(network, phase)
        optimizer = optimizer_of(phase, training, [p for p in network.parameters() if p.requires_grad])
        span = Span(source.steps, phase.epochs, training.decay)
        schedule = scheduler(recipe_of(phase, training).schedule, optimizer, span)
        loop.phase(optimizer, schedule, begin, end)
        step = _step_function(loss_function(network, phase, training, bf16=bf16), optimizer)
        for number in range(begin, end):
            if number == len(curve):
                rate, total = schedule.get_last_lr()[0], torch.zeros((), device=next(network.parameters()).device)
                for images_NCHW, labels_N in source.batches(source.first + number):
                    total = total + step(images_NCHW, labels_N)
                    _advance(schedule)
                    averaged.update_parameters(network)
                    hooks.on_step()
                curve.append(_epoch(source.first + number + 1, float(total) / source.steps, float(rate)))
            if not hooks.on_epoch(curve[number], judged.eval()):
                return Trained(judged.eval(), tuple(curve), stopped=True)
            if isinstance(schedule, ReduceLROnPlateau) and number >= loop.restored - 1:
                schedule.step(hooks.validation_error(judged.eval()))
        begin = end
    return Trained(judged.eval(), tuple(curve), stopped=False)


def _advance(schedule: Schedule) -> None:
    """Advances a schedule by one batch; one that waits for a plateau advances by epochs."""
    if not isinstance(schedule, ReduceLROnPlateau):
        schedule.step()


def _epoch(number: int, loss: float, rate: float) -> Epoch:
    if not math.isfinite(loss):
        raise TrialFailure("training-diverged", f"the loss is {loss} in epoch {number}: the training diverged")
    return Epoch(number, loss, rate)


def _step_function(loss_of: LossFunction, optimizer: torch.optim.Optimizer) -> LossFunction:
    """Makes the function of one optimizer step; it returns the loss before the step."""

    def step(images_NCHW: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
        loss = loss_of(images_NCHW, labels_N)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return step


def _warmed_up_ema(decay: float) -> Callable[..., None]:
    """Makes an EMA whose window grows with the steps, so that short trainings forget their start."""

    def average(averaged: list[torch.Tensor], current: list[torch.Tensor], steps: torch.Tensor | int) -> None:
        taken = int(steps)
        update = get_ema_multi_avg_fn(min(decay, (1 + taken) / (10 + taken)))  # type: ignore[no-untyped-call]
        update(averaged, current, steps)

    return average
