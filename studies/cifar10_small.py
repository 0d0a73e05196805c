"""CIFAR-10 with networks below 300,000 parameters."""

from typing import Any

from searchlab import Study, accuracy, latency_ms


def first(**parameters: Any) -> dict[str, Any]:
    """Returns parameters of the space to try first: one shape, with a fixed recipe."""
    recipe = {"batch_size": 64, "learning_rate": 0.15, "label_smoothing": 0.0, "exit_loss_weight": 0.3}
    shape = {"blocks1": 1, "blocks2": 1, "blocks4": 1, "hidden_head": False, "first_exit": 0.5}
    return {**recipe, **shape, **parameters}


def study() -> Study:
    """Forty networks, accuracy against measured latency; three shapes are tried first, the most expensive one first."""
    return Study(
        space="small_resnet",
        data="cifar10",
        objectives=(accuracy, latency_ms),
        max_params=300_000,
        max_macs=45_000_000,
        min_accuracy=0.6,
        epochs=14,
        trials=40,
        seed=0,
        reference="resnet20",
        enqueue={
            "#1": first(layers=3, blocks1=2, blocks2=2, blocks3=3, budget_share=0.9, exits=1),
            "#2": first(layers=3, blocks3=2, budget_share=0.55, exits=3, first_exit=0.6),
            "#3": first(layers=3, blocks3=1, budget_share=0.3, exits=1),
        },
    )
