"""Everything at once: residual networks, exits, heads, regime, loss weights or gates, perhaps a coarse partition."""

from dataclasses import dataclass, replace
from itertools import accumulate
from math import ceil

from searchlab import (
    Candidate,
    Choose,
    Exit,
    Gate,
    Head,
    ImageSpec,
    Partitioned,
    ResNet,
    Training,
    even_cuts,
    standard_augmentation,
)
from searchlab.lab import origins

CAP = 5_000_000
"""Cap on the parameters if the study sets none."""

SPECIALIST = ResNet((1, 1, 1), 16)
"""Architectures of router and experts of a partition."""


@dataclass(frozen=True)
class _Exits:
    """Exits: evenly spaced positions from the first to the last, and the parts of each exit."""

    count: int
    first: float
    head: Head
    loss_weight: float

    def on(self, backbone: ResNet, shift: int = 0) -> tuple[Exit, ...]:
        """Returns the exits on a backbone's cuts, moved by `shift`."""
        cuts = even_cuts(backbone.stages, self.count, self.first)
        return tuple(Exit(cut + shift, self.head, self.loss_weight) for cut in cuts)


def space(choose: Choose) -> Candidate:
    """A residual network with exits; with a partition, it is the generalist behind a router and its experts.

    Every range is fixed. Parameters without effect are sampled nevertheless (loss weights under regimes without them,
    alpha without gates, a partition's parameters without a partition), because joint models ignore conditional ranges.
    """
    backbone, exits, training = _backbone(choose), _exits(choose), _training(choose)
    gate = Gate(choose.suggest_categorical("gate_pool", [1, 2]))
    origin = choose.suggest_categorical("partition", ["none", "none", *sorted(origins(choose.images.classes))])
    groups = choose.suggest_int("groups", 2, min(6, choose.images.classes))
    width = choose.suggest_int("specialist_width", 8, 32, log=True)
    routing = choose.suggest_categorical("routing", ["hard", "soft"])
    share = choose.suggest_float("budget_share", 0.05, 1.0, log=True)
    limits = choose.limits.or_else(max_params=CAP)
    if origin == "none":
        hung = exits.on(backbone)
        if training.regime == "gates":
            hung = tuple(replace(exit, gate=_fitting(gate, backbone, exit.cut, choose.images)) for exit in hung)
        return choose.fit(Candidate(backbone, hung, training=training), share, limits=limits, multiple=4)
    found = origins(choose.images.classes)[origin](groups)
    specialist = replace(SPECIALIST, width=width)
    architecture = Partitioned(found, specialist, (specialist,) * len(found), replace(backbone, width=32), routing)
    # Gates need a network's maps; the input of router and experts is the image.
    training = replace(training, regime="joint" if training.regime == "gates" else training.regime)
    candidate = Candidate(architecture, exits.on(backbone, shift=1), training=training)
    return choose.fit(candidate, share, limits=limits)


def _fitting(gate: Gate, backbone: ResNet, cut: int, images: ImageSpec) -> Gate:
    """Limits a gate's pooling to the size of the map at a cut; every layer but the first halves the map."""
    ends = list(accumulate(backbone.blocks))
    halvings = sum(cut > end for end in ends)
    return Gate(min(gate.pool, ceil(min(images.height, images.width) / 2**halvings)))


def _backbone(choose: Choose) -> ResNet:
    layers = choose.suggest_int("layers", 2, 4)
    return ResNet(
        tuple(choose.suggest_int(f"blocks{i + 1}", 1, 3) for i in range(4))[:layers],
        width=16,
        first_kernel=choose.suggest_categorical("first_kernel", [1, 3, 5]),
        second_kernel=choose.suggest_categorical("second_kernel", [1, 3, 5]),
        block=choose.suggest_categorical("block", ["basic", "bottleneck", "preactivation"]),
    )


def _exits(choose: Choose) -> _Exits:
    hidden = choose.suggest_categorical("head_width", [0, 32, 64, 128])
    return _Exits(
        choose.suggest_int("exits", 1, 3),
        choose.suggest_float("first_exit", 0.0, 0.6),
        Head(hidden=(hidden,) if hidden else ()),
        choose.suggest_float("exit_loss_weight", 0.2, 1.0),
    )


def _training(choose: Choose) -> Training:
    return Training(
        regime=choose.suggest_categorical("regime", ["joint", "frozen", "mixed", "gates"]),
        batch_size=choose.suggest_categorical("batch_size", [64, 128]),
        learning_rate=choose.suggest_float("learning_rate", 0.03, 0.3, log=True),
        label_smoothing=choose.suggest_categorical("label_smoothing", [0.0, 0.1]),
        gate_loss_weight=choose.suggest_float("alpha", 0.0, 1.0),
        augmentation=standard_augmentation(choose.images),
    )
