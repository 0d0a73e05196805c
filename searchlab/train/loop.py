"""The only training loop.

Shape suffixes: N images, C channels, H and W pixels, K exits.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from searchlab.candidate import Training
from searchlab.errors import TrialFailure
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.record import Epoch
from searchlab.train.losses import exits_cross_entropy
from searchlab.train.regimes import Phase
from searchlab.train.schedules import scheduler

Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Feed:
    """Where batches come from: `batches(epoch)` yields (images_NCHW, labels_N) on the device, `steps` of them."""

    batches: Callable[[int], Iterator[Batch]]
    steps: int


def _nothing() -> None:
    pass


def _go_on(epoch: Epoch, network: EarlyExitNetwork) -> bool:
    return True


@dataclass(frozen=True)
class Hooks:
    """What the loop calls: `on_step` after every step (it may raise to end the training at once), and `on_epoch` after
    every epoch with the averaged network, which is what will be judged; False ends the training there."""

    on_step: Callable[[], None] = _nothing
    on_epoch: Callable[[Epoch, EarlyExitNetwork], bool] = _go_on


@dataclass(frozen=True)
class Trained:
    """What the loop leaves: the averaged network in eval mode, the curve, and whether a hook ended it early."""

    network: EarlyExitNetwork
    curve: tuple[Epoch, ...]
    stopped: bool


def train(
    network: EarlyExitNetwork, phases: tuple[Phase, ...], training: Training, feed: Feed, hooks: Hooks, *, bf16: bool
) -> Trained:
    """Trains `network` in place, phase by phase, and keeps a moving average of its weights and statistics.

    Raises:
        TrialFailure: the loss is no longer a number.
    """
    averaged = AveragedModel(network, multi_avg_fn=_warmed_up_ema(training.ema), use_buffers=True)
    judged = cast(EarlyExitNetwork, averaged.module)
    curve: list[Epoch] = []
    for phase in phases:
        _set_learning(network, phase)
        optimizer = _optimizer(network, training)
        schedule = scheduler(training.schedule, optimizer, phase.epochs * feed.steps)
        step = _step_function(network, phase, training, optimizer, bf16=bf16)
        for _ in range(phase.epochs):
            total = torch.zeros((), device=next(network.parameters()).device)
            rate = schedule.get_last_lr()[0]
            for images_NCHW, labels_N in feed.batches(len(curve)):
                total = total + step(images_NCHW, labels_N)
                schedule.step()
                averaged.update_parameters(network)
                hooks.on_step()
            curve.append(_epoch(len(curve) + 1, float(total) / feed.steps, float(rate)))
            if not hooks.on_epoch(curve[-1], judged.eval()):
                return Trained(judged.eval(), tuple(curve), stopped=True)
    return Trained(judged.eval(), tuple(curve), stopped=False)


def _epoch(number: int, loss: float, rate: float) -> Epoch:
    if not math.isfinite(loss):
        raise TrialFailure(f"the loss is {loss} in epoch {number}: the training diverged")
    return Epoch(number, loss, rate)


def _step_function(
    network: EarlyExitNetwork, phase: Phase, training: Training, optimizer: torch.optim.Optimizer, *, bf16: bool
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    device = next(network.parameters()).device
    weights_K = torch.tensor(phase.loss_weights, device=device)

    def step(images_NCHW: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            logits_NKC = network(images_NCHW)
        loss = exits_cross_entropy(logits_NKC, labels_N, weights_K, training.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return step


def _optimizer(network: EarlyExitNetwork, training: Training) -> torch.optim.Optimizer:
    """Fused Nesterov SGD. Gains and biases are not decayed; the decay does not grow with the learning rate."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    decay = training.weight_decay / training.learning_rate
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    nesterov = training.momentum > 0
    return torch.optim.SGD(groups, lr=training.learning_rate, momentum=training.momentum, nesterov=nesterov, fused=True)


def _set_learning(network: EarlyExitNetwork, phase: Phase) -> None:
    """Frozen stages keep their statistics and take no gradient; a head whose loss does not count is left as it is."""
    network.train()
    frozen = phase.learns == "heads"
    network.stages.train(not frozen).requires_grad_(not frozen)
    for head, weight in zip(network.heads, phase.loss_weights, strict=True):
        head.requires_grad_(weight > 0)


def _warmed_up_ema(decay: float) -> Callable[..., None]:
    """Exponential averaging whose window grows with the steps taken, so that short trainings forget their start."""

    def average(averaged: list[torch.Tensor], current: list[torch.Tensor], steps: torch.Tensor | int) -> None:
        taken = int(steps)
        update = get_ema_multi_avg_fn(min(decay, (1 + taken) / (10 + taken)))  # type: ignore[no-untyped-call]
        update(averaged, current, steps)

    return average
