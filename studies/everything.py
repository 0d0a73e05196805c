"""Everything at once on CIFAR-10 below 300,000 parameters: exits, gates, regimes and partitions in one space."""

from searchlab import Study, accuracy, latency_ms


def study() -> Study:
    """Sixty networks, accuracy against measured latency; a plain network with exits is tried first."""
    plain = {
        **{"layers": 3, "blocks1": 1, "blocks2": 1, "blocks3": 2, "blocks4": 1},
        **{"first_kernel": 3, "second_kernel": 3, "block": "basic", "budget_share": 0.55},
        **{"exits": 2, "first_exit": 0.6, "head_width": 0, "exit_loss_weight": 0.3, "gate_pool": 1, "alpha": 0.5},
        **{"regime": "joint", "batch_size": 64, "learning_rate": 0.15, "label_smoothing": 0.0},
        **{"partition": "none", "groups": 2, "specialist_width": 16, "routing": "hard"},
    }
    return Study(
        space="everything",
        data="cifar10",
        objectives=(accuracy, latency_ms),
        max_params=300_000,
        min_accuracy=0.4,
        epochs=12,
        trials=60,
        reference="resnet20",
        enqueue={"#1": plain, "#2": plain | {"regime": "gates"}, "#3": plain | {"partition": "by_number"}},
    )
