"""Paper 003: router and experts on CIFAR-100, the paper's own and small ones beside one network of their size."""

from typing import Any

from searchlab import Study, accuracy, macs


def point(partition: str, router: tuple[str, int], expert: tuple[str, int], **choices: Any) -> dict[str, Any]:
    """Parameters of the space: networks by name and width, not scaled."""
    roles = {"router": router, "expert": expert, "generalist": choices.pop("generalist", expert)}
    networks = {f"{role}_network": name for role, (name, _) in roles.items()}
    widths = {f"{role}_width": width for role, (_, width) in roles.items()}
    usual = {"groups": 4 if partition == "paper_4" else 3, "expert_widths": "equal", "has_generalist": False}
    fixed = {"routing": "hard", "generalist_exits": 0, "widths": "absolute", "budget_share": 1.0, "learning_rate": 0.1}
    return {"partition": partition, **networks, **widths, **usual, **fixed, **choices}


def of_paper(groups: int, expert: tuple[str, int]) -> dict[str, Any]:
    """One of the paper's partitions behind a ResNet-18."""
    return point(f"paper_{groups}", ("resnet18", 64), expert)


EXPERTS = {"ResNet-34": ("resnet34", 64), "ResNet-18": ("resnet18", 64), "PreResNet": ("preresnet44", 16)}
"""The paper does not say which PreResNet. Of the usual ones, PreResNet-44 has the size in its tables."""

FULL = {f"{groups} groups, {name}": of_paper(groups, expert) for groups in (3, 4) for name, expert in EXPERTS.items()}
CPU = {"4 groups, ResNet-18, on a CPU": of_paper(4, EXPERTS["ResNet-18"])}


def small(partition: str, groups: int = 3, **choices: Any) -> dict[str, Any]:
    """About a million parameters in all, whatever the number of networks; all are equally deep and cost equal MACs."""
    part = ("resnet16", 16) if groups == 3 else ("resnet16_small", 16)
    return point(partition, part, part, **{"groups": groups, **choices})


SMALL = {
    "one network": small("none", generalist=("resnet16_large", 16)),
    "paper, 3 groups": small("paper_3"),
    "paper, 3 groups, soft": small("paper_3", routing="soft"),
    # Five networks, as with four groups.
    "paper, 3 groups, generalist": point(
        "paper_3", ("resnet16_small", 16), ("resnet16_small", 16), has_generalist=True
    ),
    "paper, 4 groups": small("paper_4", 4),
    "superclasses, 3 groups": small("superclasses"),
    "pixel means, 3 groups": small("pixel_means"),
    "embedding means, 3 groups": small("embedding_means"),
    "embedding means, 4 groups": small("embedding_means", 4),
    "confusion, 3 groups": small("confusion"),
}


def study() -> tuple[Study, ...]:
    """The paper's networks, for a GPU; its CPU row, for a CPU and some hours; small ones, for two cores and half an
    hour."""
    return (
        _study("paper_partitions-full", FULL, max_params=100_000_000, epochs=120),
        _study("paper_partitions-cpu", CPU, max_params=100_000_000, epochs=85),
        _study("paper_partitions-small", SMALL, max_params=1_010_000, epochs=4),
    )


def _study(name: str, configurations: dict[str, dict[str, Any]], **budget: Any) -> Study:
    return Study(
        space="partitions",
        data="cifar100",
        objectives=(accuracy, macs),
        name=name,
        trials=len(configurations),
        enqueue=configurations,
        paper="paper_partitions",
        **budget,
    )
