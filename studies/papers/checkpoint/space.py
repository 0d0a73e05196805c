"""Published networks with exits in the middle, trained on frozen, stored features (paper 000)."""

import math
from dataclasses import replace
from itertools import pairwise

import torch

from searchlab import (
    VGG,
    AlexNet,
    Backbone,
    Candidate,
    Choose,
    Exit,
    GoogLeNet,
    Head,
    HeadTraining,
    ResNet,
    Training,
    even_cuts,
    flip_and_crop,
)
from searchlab.lab import Stage, stages_of

WIDTH = 64
"""The published width of all these networks."""

NETWORKS: dict[str, Backbone] = {
    "alexnet": AlexNet(WIDTH),
    "vgg16": VGG((2, 2, 3, 3, 3), WIDTH),
    "resnet34": ResNet((3, 4, 6, 3), WIDTH),
    "resnet50": ResNet((3, 4, 6, 3), WIDTH, block="bottleneck"),
    "inceptionv1": GoogLeNet(WIDTH),
}

LEAST_WIDTH = 4
"""Heads are reduced until, at this width of the backbone, they take at most half of the cap."""


def space(choose: Choose) -> Candidate:
    """Samples the network, its layers with an exit, pooled values, hidden widths and dropout.

    Without a cap the paper's networks are points of it: width 64, about 3,500 pooled values, hidden 2048 and 1024,
    dropout 0.7. Such a head has 8 to 12 M parameters, so that under a cap heads shrink, and the cap decides the width.
    """
    backbone = NETWORKS[choose.suggest_categorical("network", list(NETWORKS))]
    exits = choose.suggest_int("exits", 1, 3)
    first, last = choose.suggest_float("first_layer", 0.1, 0.7), choose.suggest_float("last_layer", 0.5, 1.0)
    values = choose.suggest_int("pooled_values", 64, 4096, log=True)
    hidden = (choose.suggest_int("hidden1", 32, 2048, log=True), choose.suggest_int("hidden2", 32, 1024, log=True))
    dropout = choose.suggest_float("dropout", 0.0, 0.7)
    # Most grey images show characters, whose mirror images are other characters or none.
    augmentation = flip_and_crop(choose.images, "random" if choose.images.channels == 3 else "none")
    training = Training(
        regime="frozen",
        learning_rate=choose.suggest_float("learning_rate", 0.01, 0.2, log=True),
        heads=HeadTraining(stored=True, epochs=choose.suggest_float("head_epochs", 0.1, 0.6)),
        augmentation=augmentation,
    )
    with torch.device("meta"):
        stages = stages_of(backbone, choose.images)
    cuts = even_cuts(backbone.stages, exits, first, max(first, last))
    heads = {cut: Head(_pool(stages[cut], values), hidden, dropout, batch_norm=True) for cut in cuts}
    final = _alexnets(stages[-1]) if isinstance(backbone, AlexNet) else Head()
    candidate = Candidate(backbone, tuple(Exit(cut, head) for cut, head in heads.items()), final, training)
    return choose.fit(_shrunk(choose, candidate, stages))


def _pool(stage: Stage, values: int) -> int:
    """The pooling whose output has the number of values nearest to `values`, on a map of the published width."""
    return min(range(1, min(stage.height, stage.width) + 1), key=lambda pool: abs(stage.channels * pool**2 - values))


def _alexnets(stage: Stage) -> Head:
    """AlexNet's final head: two hidden layers, as published. The other networks have pooling and one linear layer."""
    return Head(min(2, stage.height, stage.width), (4096, 4096), 0.5)


def _shrunk(choose: Choose, candidate: Candidate, stages: list[Stage]) -> Candidate:
    """Halve the hidden layers until the heads leave room for a backbone. A linear layer has as many MACs as weights."""
    caps = (choose.limits.max_params, choose.limits.max_macs)
    room = min((cap for cap in caps if cap), default=math.inf) / 2
    shrunk = candidate
    for halvings in range(12):
        exits = tuple(replace(exit, head=_narrower(exit.head, halvings)) for exit in candidate.exits)
        shrunk = replace(candidate, exits=exits, final=_narrower(candidate.final, halvings))
        if sum(_weights(head, stages[cut], choose.images.classes) for cut, head in shrunk.heads.items()) <= room:
            break
    return shrunk


def _narrower(head: Head, halvings: int) -> Head:
    return replace(head, hidden=tuple(max(1, width >> halvings) for width in head.hidden))


def _weights(head: Head, stage: Stage, classes: int) -> int:
    """Weights of a head's linear layers, on a backbone of the least width."""
    pooled = stage.channels * LEAST_WIDTH // WIDTH * head.pool**2
    return sum(before * after for before, after in pairwise((pooled, *head.hidden, classes)))
