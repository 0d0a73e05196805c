"""Static int8 quantisation of a network in pieces, by ONNX Runtime, calibrated on training images.

Shape suffixes: N images, C channels, H and W pixels.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from searchlab.engines.onnx_graph import Pieces
from searchlab.engines.onnx_nodes import model_of
from searchlab.engines.onnx_sessions import session_of

CALIBRATION_IMAGES = 256
"""Training images that calibrate the ranges of activations."""


def quantised(pieces: Pieces, images_NCHW: NDArray[np.float32]) -> Pieces:
    """Returns the pieces with 8-bit weights and activations; `images_NCHW` are normalised.

    Each piece is calibrated on what the float pieces before it make of the images. Maps between pieces stay float.
    Gates, which are one linear unit, and routed experts, whose branches ONNX Runtime cannot quantise, stay float.
    """
    maps = [image_CHW[None] for image_CHW in images_NCHW]
    legs, heads = [], []
    for leg, head in zip(pieces.legs, pieces.heads, strict=True):
        legs.append(_quantised(leg, maps))
        session = session_of(model_of(leg), 1)
        maps = [session.run(None, {leg.input[0].name: each})[0] for each in maps]
        heads.append(_quantised(head, maps))
    return replace(pieces, legs=tuple(legs), heads=tuple(heads))


def _quantised(graph: GraphProto, inputs: list[NDArray[np.float32]]) -> GraphProto:
    kinds = {node.op_type for node in graph.node}
    if "If" in kinds or not kinds & {"Conv", "Gemm", "MatMul"}:
        return graph
    with TemporaryDirectory() as folder, _quiet():
        before, after = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model_of(graph), before)
        reader = _Reader(graph.input[0].name, inputs)
        quantize_static(before, after, reader, quant_format=QuantFormat.QDQ, per_channel=True)
        return onnx.load(after).graph


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Inputs of a piece, one image at a time."""

    def __init__(self, name: str, inputs: list[NDArray[np.float32]]) -> None:
        self._left = iter([{name: each} for each in inputs])

    def get_next(self) -> dict[str, Any] | None:
        """The next input; None at the end."""
        return next(self._left, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leaves out the advice to optimise the model first: the exporter has folded what can be folded."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
