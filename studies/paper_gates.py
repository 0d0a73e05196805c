"""Paper 001: exits with learned gates (EarlyExit) on CIFAR-10, and the same backbone trained as BranchyNet is."""

from typing import Any

from searchlab.objective import accuracy, latency_ms
from searchlab.study import Study


def both(*blocks: int, **recipe: Any) -> dict[str, dict[str, Any]]:
    """One backbone in both manners, with an exit after every layer; the cap decides its width."""
    depth = {"layers": len(blocks)} | {f"blocks{i + 1}": count for i, count in enumerate((*blocks, 1)[:4])}
    # Alpha is 0.6 in the trial itself; the sweep for the table trains gates for every alpha.
    gates = {"gate_pool": 2, "alpha_position": 0.2}
    exits = {"exit_places": "layers", "exits": 1, "first_exit": 0.0, "head_pool": 4, "head_width": 0}
    shared = {**depth, **gates, **exits, "budget_share": 1.0, "learning_rate": 0.15, "head_learning_rate": 5e-3}
    return {name: {**shared, **recipe, "regime": regime} for name, regime in MANNERS.items()}


MANNERS = {"EarlyExit": "gates", "BranchyNet": "joint"}


def study() -> tuple[Study, ...]:
    """The paper's ResNet50, for a GPU; and a small network for two cores and half an hour."""
    resnet50 = both(3, 4, 6, 3, block="bottleneck", batch_size=128, head_epochs=0.3)
    small = both(2, 2, 2, block="basic", batch_size=64, head_epochs=0.35)
    return (
        _study("paper_gates-resnet50", resnet50, max_params=25_000_000, epochs=50, reference="resnet18"),
        _study("paper_gates-small", small, max_params=750_000, epochs=12, reference="resnet20"),
    )


def _study(name: str, configurations: dict[str, dict[str, Any]], **budget: Any) -> Study:
    return Study(
        space="gated_exits",
        data="cifar10",
        objectives=(accuracy, latency_ms),
        name=name,
        trials=len(configurations),
        enqueue=tuple(configurations.values()),
        rows=tuple(configurations),
        table="paper_gates",
        **budget,
    )
