"""A model file with real exits, run by ONNX Runtime, one image at a time.

Shape suffixes: N images, C channels or classes, H and W pixels. 1 is one image.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from searchlab.engines.onnx_nodes import IMAGE
from searchlab.engines.onnx_sessions import session_of

Given = NDArray[Any]
"""pixels_NCHW as a model takes them: uint8 of 0 to 255, or float32 of 0 to 1."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of N images."""

    class_N: NDArray[np.int64]
    exit_N: NDArray[np.int64]
    score_N: NDArray[np.float32]
    logits_NC: NDArray[np.float32]


class ModelFile:
    """A file of `nested_model`, loaded with a number of threads."""

    def __init__(self, model: Path | ModelProto, threads: int = 1) -> None:
        """Raises UserError if it is no model, or ONNX Runtime cannot run it."""
        self._session = session_of(model, threads)

    def run(self, pixels_1CHW: Given) -> tuple[int, int]:
        """Returns the class of an image and the exit where it left."""
        number, _, exit, _, _ = self._session.run(None, {IMAGE: pixels_1CHW})
        return int(number[0]), int(exit[0])

    def predict(self, pixels_1CHW: Given) -> tuple[int, int, float, float]:
        """Returns the class of an image, the exit, the score that decided (NaN at the last exit) and the confidence."""
        names = ["class", "exit", "score", "probabilities"]
        number, exit, score, probabilities = self._session.run(names, {IMAGE: pixels_1CHW})
        return int(number[0]), int(exit[0]), float(score[0]), float(probabilities.max())

    def answers(self, pixels_NCHW: Given) -> Answers:
        """Runs all images, one after the other."""
        names = ["class", "exit", "score", "logits"]
        rows = [self._session.run(names, {IMAGE: pixels_CHW[None]}) for pixels_CHW in pixels_NCHW]
        return Answers(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def as_given(images_NCHW: NDArray[np.uint8], input_type: str) -> Given:
    """Returns images of bytes as a model takes them."""
    return images_NCHW if input_type == "uint8" else images_NCHW.astype(np.float32) / np.float32(255)
