"""Residual networks whose exits have learned gates (paper 001): alpha, what gates see, exits, heads and recipe."""

import numpy as np

from searchlab import (
    Candidate,
    Choose,
    Exit,
    Gate,
    Head,
    HeadTraining,
    ResNet,
    Training,
    even_cuts,
    standard_augmentation,
)
from searchlab.lab import halved

POSITIONS, ALPHAS = (0.0, 0.25, 0.75, 1.0), (0.0, 0.75, 0.9, 1.0)
"""Linear interpolation from `alpha_position` to alpha: half of the range covers the alphas at which accuracy falls in
the authors' own sweep."""


def space(choose: Choose) -> Candidate:
    """Samples blocks, a share of the caps, exits after every layer or evenly spread, heads, gates, alpha and recipe.

    With the regime "joint", exits have no gates: the same network as in BranchyNet, for comparison. Without a cap the
    base width is 64, as in ResNet50, which is a point of the space.
    """
    layers = choose.suggest_int("layers", 2, 4)
    blocks = tuple(choose.suggest_int(f"blocks{i + 1}", 1, 6) for i in range(4))[:layers]
    architecture = ResNet(blocks, width=64, block=choose.suggest_categorical("block", ["basic", "bottleneck"]))
    training = _recipe(choose)
    head_pool, gate_pool = (choose.suggest_categorical(name, [1, 2, 4]) for name in ("head_pool", "gate_pool"))
    hidden = choose.suggest_categorical("head_width", [0, 32, 64])
    exits = []
    for cut in _cuts(choose, architecture):
        side = _side(cut, architecture, choose.images.height)
        gate = Gate(min(gate_pool, side)) if training.regime == "gates" else None
        exits.append(Exit(cut, Head(min(head_pool, side), (hidden,) if hidden else ()), gate=gate))
    share = choose.suggest_float("budget_share", 0.05, 1.0, log=True)
    return choose.fit(Candidate(architecture, tuple(exits), training=training), share, multiple=4)


def _recipe(choose: Choose) -> Training:
    batch_size = choose.suggest_categorical("batch_size", [64, 128])
    return Training(
        regime=choose.suggest_categorical("regime", ["gates", "joint"]),
        batch_size=batch_size,
        learning_rate=choose.suggest_float("learning_rate", 0.03, 0.3, log=True),
        gate_loss_weight=float(np.interp(choose.suggest_float("alpha_position", 0.0, 1.0), POSITIONS, ALPHAS)),
        heads=HeadTraining(
            learning_rate=choose.suggest_float("head_learning_rate", 1e-3, 3e-2, log=True),
            batch_size=batch_size,
            epochs=choose.suggest_float("head_epochs", 0.2, 0.6),
        ),
        augmentation=standard_augmentation(choose.images),
    )


def _cuts(choose: Choose, architecture: ResNet) -> tuple[int, ...]:
    """Cuts of the exits: after every layer but the last, or evenly up to the last cut before the final head."""
    places = choose.suggest_categorical("exit_places", ["layers", "even"])
    exits = choose.suggest_int("exits", 1, 4)
    first = choose.suggest_float("first_exit", 0.0, 0.8)
    if places == "layers":
        return tuple(sum(architecture.blocks[: layer + 1]) for layer in range(len(architecture.blocks) - 1))
    return even_cuts(architecture.stages, exits, first, last=1.0)


def _side(cut: int, architecture: ResNet, side: int) -> int:
    """Side of the feature map at a cut: every layer but the first halves it."""
    for layer in range(1, len(architecture.blocks)):
        if cut > sum(architecture.blocks[:layer]):
            side = halved(side)
    return side
