"""Handwritten digits of 8x8 pixels: a whole search in a minute or two on two cores."""

from searchlab import Study, accuracy, latency_ms


def study() -> Study:
    """Sixteen networks of at most 60,000 parameters, accuracy against measured latency."""
    return Study(
        space="small_resnet",
        data="digits",
        objectives=(accuracy, latency_ms),
        max_params=60_000,
        min_accuracy=0.6,
        epochs=30,
        trials=16,
        seed=0,
    )
