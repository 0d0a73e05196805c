"""The sweep of alpha (paper 001): gates trained once for every alpha, on one backbone and one set of classifiers.

Backbone and classifiers are frozen while gates are trained. So the gates' inputs and every exit's logits are computed
once for all alphas.

Shape suffixes: N images, C channels or classes, H and W pixels, F features (what every gate sees, then all logits),
K exits.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from searchlab import Subject, Training
from searchlab.lab import (
    GATE,
    Batch,
    BatchSource,
    EarlyExitNetwork,
    ExitTable,
    GateUnit,
    Hooks,
    LearnedGate,
    Normaliser,
    Phase,
    Split,
    batches_for,
    evaluation_batches,
    exit_cost_macs,
    exit_cost_ms,
    has_bf16,
    phases,
    recipe_of,
    train,
    training_lock,
)

ALPHAS = (0.0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
"""Values of alpha, densest where accuracy fell in the authors' own sweep."""

AUGMENTED = 3
"""Epochs of augmented images whose features are kept in memory; a longer phase repeats them."""


class GatesAlone(EarlyExitNetwork):
    """The gates of a network alone, trained in place. Its input is features_NF."""

    def __init__(self, network: EarlyExitNetwork) -> None:
        units = [cast(LearnedGate, gate).unit for gate in network.gates]
        super().__init__({}, [nn.Identity() for _ in network.heads], network.cuts, units)
        self.sizes = [unit.linear.in_features for unit in units]

    def maps(self, images_NCHW: Tensor) -> list[Tensor]:
        """Split features_NF (passed instead of images) into the input of each gate and, last, all logits."""
        return list(torch.split(images_NCHW, [*self.sizes, images_NCHW.shape[1] - sum(self.sizes)], dim=1))

    def logits(self, maps: Sequence[Tensor]) -> Tensor:
        """logits_NKC from the last piece."""
        return maps[-1].view(len(maps[-1]), len(self.cuts), -1)


def features_of(network: EarlyExitNetwork, images_NCHW: Tensor) -> Tensor:
    """features_NF for `GatesAlone`: the pooled, flattened input of every gate, then the logits of every exit."""
    maps = network.maps(images_NCHW)
    seen = [cast(LearnedGate, gate).seen(map_NCHW) for gate, map_NCHW in zip(network.gates, maps, strict=False)]
    return torch.cat([*seen, network.logits(maps).flatten(1)], dim=1).float()


@dataclass(frozen=True, eq=False)
class Swept:
    """The gates of one alpha, and their exit tables."""

    alpha: float
    gates: GatesAlone
    validation: ExitTable
    test: ExitTable

    def put_into(self, network: EarlyExitNetwork) -> EarlyExitNetwork:
        """A copy of the network with these gates."""
        twin = copy.deepcopy(network)
        for gate, unit in zip(twin.gates, self.gates.gates, strict=True):
            cast(LearnedGate, gate).unit = cast(GateUnit, unit)
        return twin


def sweep(subject: Subject, alphas: Sequence[float] = ALPHAS) -> tuple[Swept, ...]:
    """Train gates for every alpha on the training split, as in the trial, all from the same initial weights.

    The subject's network stays as it is.

    Raises:
        TrialFailure: the loss is not finite.
    """
    network = copy.deepcopy(subject.network).to(memory_format=torch.channels_last).eval()
    normaliser, dataset = Normaliser.of(subject.dataset, subject.device), subject.dataset
    with training_lock(subject.device) as lock:
        shared = _gate_training(network, subject, normaliser, lock.breathe)
        trained = [shared.gates(alpha) for alpha in alphas]
    seen = [_seen(network, split.to(subject.device), normaliser) for split in (dataset.validation, dataset.test)]
    return tuple(
        Swept(alpha, gates, *(_table(gates, *batch) for batch in seen))
        for alpha, gates in zip(alphas, trained, strict=True)
    )


@dataclass(frozen=True, eq=False)
class _GateTraining:
    """Features and settings that the trainings of all gates share."""

    network: EarlyExitNetwork
    phase: Phase
    training: Training
    source: BatchSource
    hooks: Hooks

    def gates(self, alpha: float) -> GatesAlone:
        """Train new gates with this alpha."""
        alone = copy.deepcopy(GatesAlone(self.network))
        for unit in alone.gates:
            cast(GateUnit, unit).reset()
        training = replace(self.training, gate_loss_weight=alpha)
        # Linear units of this size gain nothing from bf16.
        trained = train(alone, (self.phase,), training, self.source, self.hooks, bf16=False).network
        assert isinstance(trained, GatesAlone)
        return trained


def _gate_training(
    network: EarlyExitNetwork, subject: Subject, normaliser: Normaliser, on_step: Callable[[], None]
) -> _GateTraining:
    """Compute features of some epochs of augmented images, in the precision of the training."""
    phase, training, device = gates_phase(subject), subject.record.candidate.training, subject.device
    split, seed = subject.dataset.train.to(device), subject.record.seed
    batches = batches_for(split, normaliser, recipe_of(phase, training), seed)
    epochs: list[list[Batch]] = []
    for number in range(min(AUGMENTED, phase.epochs)):
        epochs.append([])
        for images_NCHW, labels_N in batches.epoch(number):
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device)):
                epochs[-1].append((features_of(network, images_NCHW), labels_N))
            on_step()
    source = BatchSource(lambda number: iter(epochs[number % len(epochs)]), batches.steps)
    return _GateTraining(network, phase, training, source, Hooks(on_step))


def gates_phase(subject: Subject) -> Phase:
    """The last phase of the regime, with exit costs in milliseconds where they were measured, else in MACs.

    It has one epoch if the study is too short for it.
    """
    record = subject.record
    assert record.cost is not None
    exits = range(len(record.cost.heads))
    if record.latency is not None:
        cost_K = exit_cost_ms(record.cost, record.latency.segments, exits, GATE)
    else:
        cost_K = exit_cost_macs(record.cost, exits, GATE)
    last = phases(record.candidate, subject.study.epochs)[-1]
    epochs = last.epochs if last.learns == "gates" else 1
    return Phase(epochs, "gates", last.loss_weights, tuple((cost_K / cost_K.max()).tolist()))


def _seen(network: EarlyExitNetwork, split: Split, normaliser: Normaliser) -> Batch:
    """features_NF of a whole split in float32, as for exit tables, and labels_N."""
    with torch.no_grad():
        features = [features_of(network, images_NCHW) for images_NCHW, _ in evaluation_batches(split, normaliser)]
    return torch.cat(features), split.labels_N


def _table(gates: GatesAlone, features_NF: Tensor, labels_N: Tensor) -> ExitTable:
    with torch.no_grad():
        maps = gates.maps(features_NF)
        logits_NKC, gates_NG = gates.logits(maps), gates.gate_logits(maps)
    return ExitTable(logits_NKC.cpu().numpy(), labels_N.cpu().numpy(), gates_NG.cpu().numpy())
