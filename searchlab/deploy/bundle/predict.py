"""Classification of image files by the model file of a bundle."""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic.dataclasses import dataclass

from searchlab.data.image_files import SUFFIXES, channels_first, read
from searchlab.deploy.bundle.card import MODEL, Card
from searchlab.deploy.bundle.model_file import ModelFile, as_given
from searchlab.errors import UserError
from searchlab.record import Scales
from searchlab.serialization import NOUN

WARM_UP = 20
"""Runs before the first image that is timed."""


@dataclass(frozen=True, config=NOUN)
class FilePrediction:
    """What a model file says of one image.

    Attributes:
        confidence: the highest softmax probability, 0 to 1, at the exit where it left.
        score: what decided at that exit; None at the last exit, which takes the rest.
        exit: position in the exit table; `after_stage` is where it hangs, "final" at the end.
        ms: what this one run took, without reading the image.
    """

    image: str
    class_name: str
    class_index: int
    confidence: float
    score: float | None
    exit: int
    after_stage: str
    ms: float


def images_in(paths: Sequence[Path]) -> list[Path]:
    """Returns the files among some paths, and the image files below the folders among them, in order.

    Raises:
        UserError: a path does not exist, or a folder has no image.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted(each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
            if not below:
                allowed = f"files that end in {', '.join(sorted(SUFFIXES))}"
                raise UserError(
                    "invalid-images", "no images in this folder", where="IMAGES", value=str(path), allowed=allowed
                )
            found += below
        elif path.is_file():
            found.append(path)
        else:
            raise UserError("path-not-found", "file or folder not found", where="IMAGES", value=str(path))
    return found


def predictions(folder: Path, card: Card, files: Sequence[Path]) -> Iterator[FilePrediction | UserError]:
    """Classifies files one by one; of an unreadable one the error.

    Raises:
        UserError: the model file is damaged.
    """
    images = card.data.images
    assert images is not None
    model = ModelFile(folder / MODEL, card.latency.machine.threads if card.latency else 1)
    names = {each.exit: each.after_stage for each in card.exits}
    warm = False
    for file in files:
        pixels_HWC = read(file, (images.width, images.height), card.data.scales or Scales())
        if pixels_HWC is None:
            what, allowed = "no readable image", "such as PNG or JPEG"
            yield UserError("invalid-images", what, where="predict", value=str(file), allowed=allowed)
            continue
        pixels_1CHW = as_given(channels_first(pixels_HWC, images.channels)[None], card.input)
        for _ in range(0 if warm else WARM_UP):
            model.predict(pixels_1CHW)
        warm = True
        start_ns = time.perf_counter_ns()
        number, exit, score, confidence = model.predict(pixels_1CHW)
        ms = (time.perf_counter_ns() - start_ns) / 1e6
        decided = None if math.isnan(score) else score
        yield FilePrediction(
            str(file), card.data.class_names[number], number, confidence, decided, exit, names[exit], ms
        )
