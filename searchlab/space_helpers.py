"""Helpers for spaces: evenly spaced exits and the standard augmentation."""

from typing import Literal

from searchlab.architecture import ImageSpec
from searchlab.candidate import Augmentation


def even_cuts(stages: int, exits: int, first: float = 0.0, last: float | None = None) -> tuple[int, ...]:
    """Returns evenly spaced cuts for early exits, ascending, in a backbone of so many stages.

    `first` and `last` are shares of the way from the first cut (0) to the last cut before the final head (1). Without
    `last`, the final head takes the next place after the last exit. On a short backbone some exits fall on the same
    cut, so that there are fewer of them.
    """
    way = stages - 2
    if last is None:
        places = [first * way + (1 - first) * way * i / exits for i in range(exits)]
    else:
        step = (last - first) / max(1, exits - 1)
        places = [(first + i * step) * way for i in range(exits)]
    return tuple(sorted({round(place) for place in places}))


def flip_and_crop(images: ImageSpec, flip: Literal["none", "random", "alternating"] = "random") -> Augmentation:
    """Flips, and crops by 4 pixels; by 1 pixel for images of less than 16 pixels' height."""
    return Augmentation(flip=flip, crop_pixels=4 if images.height >= 16 else 1)


def standard_augmentation(images: ImageSpec) -> Augmentation:
    """Alternating flips and crops; for images of less than 16 pixels' height, crops and small rotations."""
    if images.height < 16:
        return Augmentation(crop_pixels=1, rotation_degrees=10)
    return flip_and_crop(images, "alternating")
