"""The space that `search_table.py` trains whole and `search.py` searches: 240 small residual networks with exits."""

from collections.abc import Iterator, Mapping
from itertools import product

from searchlab.architecture import ResNet
from searchlab.candidate import Augmentation, Candidate, Exit, Head, Training

Parameters = Mapping[str, int | str]

AXES: dict[str, tuple[int | str, ...]] = {
    "width": (8, 16, 24),
    "blocks1": (1, 2),
    "blocks3": (1, 2),
    "first_kernel": (1, 3),
    "exits": ("early", "early, wide", "late", "late, wide", "both", "both, wide"),
    "regime": ("joint", "frozen"),
}
"""What may vary, and the values it takes."""

LEFT_OUT = ("early, wide",)
"""Of the exits, to save the time."""


def everything() -> Iterator[tuple[int, Parameters]]:
    """Every configuration with its number, the last axis varying first."""
    for number, values in enumerate(product(*AXES.values())):
        parameters = dict(zip(AXES, values, strict=True))
        if parameters["exits"] not in LEFT_OUT:
            yield number, parameters


def candidate_of(parameters: Parameters) -> Candidate:
    """Three layers, the second of one block; exits hang after the first layer, the second, or both."""
    first, last, width = (int(parameters[name]) for name in ("blocks1", "blocks3", "width"))
    place, _, wide = str(parameters["exits"]).partition(", ")
    cuts = {"early": (first,), "late": (first + 1,), "both": (first, first + 1)}[place]
    head = Head(hidden=(32,) if wide else ())
    training = Training(
        regime=str(parameters["regime"]),
        batch_size=64,
        augmentation=Augmentation(flip="alternating", crop_pixels=4),
    )
    wide_kernel = parameters["first_kernel"] == 3
    architecture = ResNet((first, 1, last), width, first_kernel=3 if wide_kernel else 1, stem_stride=2)
    return Candidate(architecture, tuple(Exit(cut, head) for cut in cuts), training=training)
