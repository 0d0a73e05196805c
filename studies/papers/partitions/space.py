"""Coarse partitions (paper 003): a router, an expert for every group of classes, perhaps a generalist behind them."""

from dataclasses import replace
from math import sqrt

from searchlab import (
    Candidate,
    Choose,
    Exit,
    ImageSpec,
    Partitioned,
    ResNet,
    Training,
    even_cuts,
    excess_over,
    flip_and_crop,
    network_cost,
)
from searchlab.lab import Groups, origins

CAP = 5_000_000
"""Cap on the parameters of all networks together, where the study sets none."""

NETWORKS = {
    "resnet8": ResNet((1, 1, 1), 16),
    "resnet14": ResNet((2, 2, 2), 16),
    # Three of the same depth and MACs that have 195, 251 and 985 thousand parameters.
    "resnet16_small": ResNet((2, 3, 2), 16),
    "resnet16": ResNet((2, 2, 3), 16),
    "resnet16_large": ResNet((1, 1, 2, 3), 16),
    "resnet18": ResNet((2, 2, 2, 2), 16),
    "resnet34": ResNet((3, 4, 6, 3), 16),
    "preresnet18": ResNet((2, 2, 2, 2), 16, block="preactivation"),
    "preresnet44": ResNet((7, 7, 7), 16, block="preactivation"),
}
"""Choices for router, experts and generalist, of any width."""

ORIGINS = (
    *("none", "by_number", "superclasses", "pixel_means", "embedding_means", "confusion"),
    *("paper_3", "paper_4"),
)
"""Origins of a partition. On other data, those of CIFAR-100 mean "by_number", so that ranges stay fixed."""


def space(choose: Choose) -> Candidate:
    """Samples the number of groups, the origin of the partition, networks, widths, routing, generalist and exits.

    Widths are "relative" (scaled by one factor, so that the sum of all parameters holds a share of the cap) or
    "absolute" (scaled only if they exceed the cap). The paper's partitions have a fixed number of groups. Without a
    partition there is only the generalist.
    """
    images = choose.images
    origin = choose.suggest_categorical("partition", ORIGINS)
    count = choose.suggest_int("groups", 2, min(8, images.classes))
    router, expert, generalist = (_network(choose, role) for role in ("router", "expert", "generalist"))
    equal = choose.suggest_categorical("expert_widths", ["equal", "by_group"]) == "equal"
    behind = choose.suggest_categorical("has_generalist", [False, True])
    routing = choose.suggest_categorical("routing", ["hard", "soft"])
    exits = choose.suggest_int("generalist_exits", 0, 2)
    training = Training(
        learning_rate=choose.suggest_float("learning_rate", 0.03, 0.3, log=True),
        augmentation=flip_and_crop(images, "random" if images.height >= 16 else "none"),
    )
    if origin == "none":
        return _sized(choose, Candidate(generalist, _exits(generalist, exits), training=training))
    groups = _groups(origin, count, images)
    experts = tuple(expert for _ in groups) if equal else _by_group(expert, groups, images.classes)
    architecture = Partitioned(groups, router, experts, generalist if behind else None, routing)
    # The generalist's stages follow cut 0, which has the router and its experts.
    hung = tuple(replace(each, cut=each.cut + 1) for each in _exits(generalist, exits)) if behind else ()
    return _sized(choose, Candidate(architecture, hung, training=training))


def _network(choose: Choose, role: str) -> ResNet:
    network = NETWORKS[choose.suggest_categorical(f"{role}_network", list(NETWORKS))]
    return replace(network, width=choose.suggest_int(f"{role}_width", 16, 64, log=True))


def _groups(origin: str, count: int, images: ImageSpec) -> Groups:
    known = origins(images.classes)
    return known.get(origin, known["by_number"])(count)


def _by_group(expert: ResNet, groups: Groups, classes: int) -> tuple[ResNet, ...]:
    """Widths of the experts. Parameters grow with the square of the width, and are shared in proportion to classes."""
    mean = classes / len(groups)
    widths = [max(1, round(expert.width * sqrt(len(group) / mean))) for group in groups]
    return tuple(replace(expert, width=width) for width in widths)


def _exits(network: ResNet, count: int) -> tuple[Exit, ...]:
    """Returns exits at even distances between the image, which counts as a stage in front, and the final head."""
    return tuple(Exit(cut - 1) for cut in even_cuts(network.stages + 1, count, first=1 / (count + 1)))


def _sized(choose: Choose, candidate: Candidate) -> Candidate:
    """The candidate with its final widths."""
    limits = choose.limits.or_else(max_params=CAP)
    absolute = choose.suggest_categorical("widths", ["relative", "absolute"]) == "absolute"
    share = choose.suggest_float("budget_share", 0.2, 1.0, log=True)
    if absolute and not excess_over(network_cost(candidate, choose.images), limits):
        return candidate
    # The share refers to parameters only.
    return choose.fit(candidate, limits=limits if absolute else limits.share(share, macs=1.0))
