"""CIFAR-10 with networks below 300,000 parameters."""

from searchlab.objective import accuracy, latency_ms
from searchlab.study import Study


def study() -> Study:
    """Forty networks, accuracy against measured latency; a known good one is tried first."""
    return Study(
        space="small_resnet",
        data="cifar10",
        objectives=(accuracy, latency_ms),
        max_params=300_000,
        max_macs=30_000_000,
        min_accuracy=0.6,
        epochs=15,
        trials=40,
        seed=0,
        reference="resnet20",
    )
