"""Recipe and optimizer of a phase."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from searchlab.candidate import HeadTraining, Training
from searchlab.train.regimes import Phase


def recipe_of(phase: Phase, training: Training) -> Training:
    """Returns the recipe of a phase: heads and gates on a frozen backbone may have their own.

    On stored features (paper 000) the learning rate stays as it is.
    """
    heads = _own(phase, training)
    if heads is None:
        return training
    return replace(
        training,
        schedule="constant" if heads.stored else training.schedule,
        batch_size=heads.batch_size,
        learning_rate=heads.learning_rate,
        weight_decay=heads.weight_decay,
    )


def optimizer_of(phase: Phase, training: Training, parameters: list[Parameter]) -> Optimizer:
    """Makes the optimizer of a phase, for the parameters that are trained in it."""
    heads = _own(phase, training)
    return OPTIMIZERS[heads.optimizer if heads else "sgd"](parameters, recipe_of(phase, training))


def _own(phase: Phase, training: Training) -> HeadTraining | None:
    return None if phase.learns == "all" else training.heads


def _sgd(parameters: list[Parameter], recipe: Training) -> Optimizer:
    """Makes fused SGD. Gains and biases have no decay; the decay does not scale with the learning rate."""
    decay = recipe.weight_decay / recipe.learning_rate
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    nesterov = recipe.nesterov and recipe.momentum > 0
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=nesterov, fused=True)


def _adam(parameters: list[Parameter], recipe: Training) -> Optimizer:
    """Makes torch's fused Adam: the decay is added to the gradient of every parameter."""
    return torch.optim.Adam(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)


OPTIMIZERS: dict[str, Callable[[list[Parameter], Training], Optimizer]] = {"sgd": _sgd, "adam": _adam}
