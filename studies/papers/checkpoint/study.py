"""Paper 000: checkpoint classifiers in five networks on CIFAR-10 and CIFAR-100, trained and timed as the paper says."""

from dataclasses import replace
from typing import Any

from searchlab import Study, accuracy, macs


def after(network: str, *cuts: int, last_cut: int, learning_rate: float = 0.1) -> dict[str, Any]:
    """Parameters of the space: checkpoints after some stages, evenly spread, with the paper's classifier on each.

    `last_cut` is the last one before the final head.
    """
    layers = {"exits": len(cuts), "first_layer": cuts[0] / last_cut, "last_layer": max(0.5, cuts[-1] / last_cut)}
    head = {"pooled_values": 3500, "hidden1": 2048, "hidden2": 1024, "dropout": 0.7, "head_epochs": 1 / 3}
    return {"network": network, **layers, **head, "learning_rate": learning_rate}


NETWORKS = {
    # It has no normalisation, so the rate is smaller; larger rates were not tried.
    "AlexNet": after("alexnet", 2, last_cut=3, learning_rate=0.02),
    "VGG-16": after("vgg16", 6, last_cut=11),
    # A block has two convolutions; the stem is not counted: its convolutions 14, 20 and 26.
    "ResNet34": after("resnet34", 7, 10, 13, last_cut=15),
    "ResNet50": after("resnet50", 8, last_cut=15),
    # Inception modules 4a, 4c and 4e.
    "InceptionV1": after("inceptionv1", 3, 5, 7, last_cut=8),
}
"""Section 4. The paper does not say where in AlexNet, VGG-16 and ResNet50: ours is halfway (its "40 % to 60 %")."""


SMALL = {
    f"small {name} on CIFAR-100": NETWORKS[name] | {"hidden1": 256, "hidden2": 128} for name in ("ResNet34", "VGG-16")
}
"""The same networks at a quarter of the width, below a cap: some minutes on two cores."""


def study() -> tuple[Study, ...]:
    """The five networks once for each data set: ten epochs of the network, then five of its checkpoints; small ones.

    Time is measured afterwards, as in the paper. It is not an objective, so that trials do not measure it, too.
    """
    large = (on("cifar10", "CIFAR-10"), on("cifar100", "CIFAR-100"))
    small = replace(large[1], name="paper_checkpoint-small", epochs=6, max_params=2_300_000, trials=len(SMALL))
    return (*large, replace(small, enqueue=SMALL))


def on(data: str, title: str) -> Study:
    """The study of all five networks on one data set."""
    return Study(
        space="checkpoint",
        data=data,
        objectives=(accuracy, macs),
        epochs=15,
        trials=len(NETWORKS),
        enqueue={f"{network} on {title}": params for network, params in NETWORKS.items()},
        paper="paper_checkpoint",
    )
