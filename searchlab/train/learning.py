"""Trainable parts and loss of a phase.

Frozen parts run without gradients and keep their statistics. A head with loss weight 0 is not run.
Shape suffixes: N images, C channels or classes, H and W pixels, K exits.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from searchlab.candidate import Training
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.train.losses import cross_entropies, exits_cross_entropy, expected_exit_loss
from searchlab.train.regimes import Phase

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""(images_NCHW, labels_N) to a scalar."""

Autocast = Callable[[], torch.autocast]


def set_learning(network: EarlyExitNetwork, phase: Phase) -> None:
    """Enables gradients and training mode for the trainable parts; disables both for all others."""
    _set(network.stages, phase.learns == "all")
    for head, weight in zip(network.heads, phase.loss_weights, strict=True):
        _set(head, phase.learns != "gates" and weight > 0)
    _set(network.gates, phase.learns == "gates")


def _set(module: nn.Module, learns: bool) -> None:
    module.train(learns).requires_grad_(learns)


def loss_function(network: EarlyExitNetwork, phase: Phase, training: Training, *, bf16: bool) -> LossFunction:
    """Returns the loss of a phase; forward passes use autocast if `bf16`."""
    autocast = partial(torch.autocast, _device(network).type, dtype=torch.bfloat16, enabled=bf16)
    return LOSSES[phase.learns](network, phase, training, autocast)


def _everything(network: EarlyExitNetwork, phase: Phase, training: Training, autocast: Autocast) -> LossFunction:
    """Returns the weighted mean of the exits' losses."""
    counted, weights_K = _counted(network, phase)

    def loss(images_NCHW: Tensor, labels_N: Tensor) -> Tensor:
        with autocast():
            logits_NKC = _logits(network, network.maps(images_NCHW), counted)
        return exits_cross_entropy(logits_NKC, labels_N, weights_K, training.label_smoothing)

    return loss


def _heads(network: EarlyExitNetwork, phase: Phase, training: Training, autocast: Autocast) -> LossFunction:
    """Returns the sum of the heads' losses: no head depends on another (paper 001, section 4)."""
    counted, weights_K = _counted(network, phase)

    def loss(images_NCHW: Tensor, labels_N: Tensor) -> Tensor:
        with autocast(), torch.no_grad():
            maps = network.maps(images_NCHW)
        with autocast():
            logits_NKC = _logits(network, maps, counted)
        return cross_entropies(logits_NKC, labels_N, training.label_smoothing).mean(dim=0) @ weights_K

    return loss


def _gates(network: EarlyExitNetwork, phase: Phase, training: Training, autocast: Autocast) -> LossFunction:
    """Returns the expected loss of leaving by the gates."""
    assert len(phase.exit_costs) == len(network.heads), "gates learn from the cost of every exit"
    costs_K = torch.tensor(phase.exit_costs, device=_device(network))

    def loss(images_NCHW: Tensor, labels_N: Tensor) -> Tensor:
        with autocast(), torch.no_grad():
            maps = network.maps(images_NCHW)
            logits_NKC = network.logits(maps)
        with autocast():
            gates_NG = network.gate_logits(maps)
        errors_NK = cross_entropies(logits_NKC, labels_N)
        return expected_exit_loss(gates_NG.float(), errors_NK, costs_K, training.gate_loss_weight)

    return loss


LOSSES: dict[str, Callable[[EarlyExitNetwork, Phase, Training, Autocast], LossFunction]] = {
    "all": _everything,
    "heads": _heads,
    "gates": _gates,
}
"""Trainable parts to their loss."""


def _counted(network: EarlyExitNetwork, phase: Phase) -> tuple[list[int], Tensor]:
    """Returns the exits with a nonzero loss weight, and their weights_K."""
    counted = [index for index, weight in enumerate(phase.loss_weights) if weight > 0]
    return counted, torch.tensor([phase.loss_weights[index] for index in counted], device=_device(network))


def _logits(network: EarlyExitNetwork, maps: Sequence[Tensor], counted: list[int]) -> Tensor:
    return torch.stack([network.heads[index](maps[index]) for index in counted], dim=1)


def _device(network: EarlyExitNetwork) -> torch.device:
    return next(network.parameters()).device
