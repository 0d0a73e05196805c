"""Paper 002: VGG19, GoogLeNet and ResNet18 on MNIST and CIFAR-10, with variants of schedule and inception module."""

from typing import Any

from searchlab import Study, accuracy, macs

PATIENCES = (0, 1, 10, 15)
"""Patiences of section 2.2.1, without 5, which is that of the main VGG19 row."""


def network(name: str, **parameters: Any) -> dict[str, Any]:
    """Parameters of the space at the paper's width, with torchvision's stems."""
    plain = {"large_kernel": 3, "residual": False, "auxiliary": False, "batch_norm": False, "patience": 0}
    return {"network": name, "width": 64, "stem": "large", **plain, **parameters}


def vgg19(patience: int) -> dict[str, Any]:
    """Section 2.2.1. The paper keeps to the original, which has no batch normalisation."""
    return network("vgg19", schedule="plateau", patience=patience, learning_rate=0.01)


def googlenet(**variant: Any) -> dict[str, Any]:
    """Section 2.2.3; by default 3x3 filters and auxiliary classifiers, as in torchvision's code."""
    return network("googlenet", schedule="every", learning_rate=0.1, **{"auxiliary": True, **variant})


THREE = {
    "VGG19": vgg19(patience=5),
    "GoogLeNet": googlenet(),
    "ResNet18": network("resnet18", schedule="plateau", patience=1, learning_rate=0.1),
}
"""Figures 5 and 6."""

VARIANTS = {
    **{f"VGG19, patience {patience}": vgg19(patience) for patience in PATIENCES},
    "GoogLeNet, 5x5": googlenet(large_kernel=5),
    "GoogLeNet, residual": googlenet(residual=True),
    "GoogLeNet, residual, 5x5": googlenet(residual=True, large_kernel=5),
    "GoogLeNet, no auxiliary": googlenet(auxiliary=False),
}
"""Further rows of the tables in sections 2.2.1, 3.2.3 and 3.2.4."""


def study() -> tuple[Study, ...]:
    """The three networks on both data sets, and on CIFAR-10 the variants.

    The paper gives neither its number of epochs (its last best epoch is the 158th) nor the strength of its
    augmentation. Here CIFAR-10 is mirrored, rotated by up to 15 degrees, recoloured by 0.8 to 1.2 and cropped to at
    least half its area.
    """
    return (_on("mnist", THREE, epochs=30), _on("cifar10", THREE | VARIANTS, epochs=160))


def _on(data: str, configurations: dict[str, dict[str, Any]], epochs: int) -> Study:
    return Study(
        space="deeper",
        data=data,
        objectives=(accuracy, macs),
        epochs=epochs,
        trials=len(configurations),
        curves=True,
        enqueue=configurations,
        paper="paper_deeper",
    )
