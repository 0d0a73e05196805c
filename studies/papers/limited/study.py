"""Paper 004: six residual networks below 5 million parameters on CIFAR-10, trained as the paper says."""

from typing import Any

from searchlab import Study, accuracy, latency_ms


def approach(*blocks: int, first: int = 3, second: int = 3, skip: int = 1) -> dict[str, Any]:
    """Parameters of the space: blocks per layer, and the kernels of a block's convolutions and of its skip."""
    depth = {"layers": len(blocks)} | {f"blocks{i + 1}": count for i, count in enumerate((*blocks, 1)[:4])}
    kernels = {"first_kernel": first, "second_kernel": second, "skip_kernel": skip}
    whole = {"budget_share": 1.0, "exits": 0, "first_exit": 0.0}
    return {**depth, **kernels, **whole, "learning_rate": 0.1, "recipe": "paper"}


APPROACHES = {
    "Approach I": approach(1, 2, 3, 1, first=1),
    "Approach II (a)": approach(3, 5, 3),
    "Approach II (b)": approach(2, 2, 2, first=5),
    "Approach III (a)": approach(3, 3, 5, 3),
    "Approach III (b)": approach(2, 2, 2, 2, first=5),
    "Approach IV": approach(2, 3, 4, 2, first=7, second=7, skip=5),
}


def study() -> Study:
    """The six approaches of section 3 and nothing else, in the order of table 1."""
    return Study(
        space="limited",
        data="cifar10",
        objectives=(accuracy, latency_ms),
        max_params=5_000_000,
        epochs=50,
        trials=len(APPROACHES),
        reference="resnet18",
        enqueue=APPROACHES,
        paper="paper_limited",
    )
