"""Paper 001: exits with learned gates (EarlyExit) on CIFAR-10, and the same backbone trained as BranchyNet is."""

from typing import Any

from searchlab import Study, accuracy, latency_ms


def both(*blocks: int, **chosen: Any) -> dict[str, dict[str, Any]]:
    """One backbone trained in both ways, as enqueued parameters; the cap decides its width."""
    depth = {"layers": len(blocks)} | {f"blocks{i + 1}": count for i, count in enumerate((*blocks, 1)[:4])}
    # In the trial itself alpha is 0.6; for the table, gates are trained for every alpha.
    heads = {"head_pool": 4, "head_width": 0, "alpha_position": 0.2}
    recipe = {"learning_rate": 0.15, "head_learning_rate": 8e-3}
    shared = {**depth, **heads, **recipe, "budget_share": 1.0}
    return {name: {**shared, **chosen, "regime": regime} for name, regime in MANNERS.items()}


MANNERS = {"EarlyExit": "gates", "BranchyNet": "joint"}


def study() -> tuple[Study, ...]:
    """The paper's ResNet50 (for a GPU) and a small network (for two cores)."""
    after_layers = {"exit_places": "layers", "exits": 3, "first_exit": 0.0, "gate_pool": 1}
    resnet50 = both(3, 4, 6, 3, block="bottleneck", batch_size=128, head_epochs=0.3, **after_layers)
    # Many blocks in the last layer, so that early exits save much: exits after its first, third and fifth.
    evenly = {"exit_places": "even", "exits": 3, "first_exit": 0.55, "gate_pool": 4}
    small = both(2, 2, 6, block="basic", batch_size=64, head_epochs=0.35, **evenly)
    return (
        _study("paper_gates-resnet50", resnet50, max_params=25_000_000, epochs=50, reference="resnet18"),
        _study("paper_gates-small", small, max_params=520_000, epochs=12, reference="resnet20"),
    )


def _study(name: str, configurations: dict[str, dict[str, Any]], **budget: Any) -> Study:
    return Study(
        space="gates",
        data="cifar10",
        objectives=(accuracy, latency_ms),
        name=name,
        trials=len(configurations),
        enqueue=configurations,
        paper="paper_gates",
        **budget,
    )
