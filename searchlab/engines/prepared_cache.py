"""Prepared models, kept as long as their network: a measurement that is repeated exports nothing again.

Shape suffixes: N images, C channels, H and W pixels.
"""

from collections.abc import Hashable, Mapping
from weakref import WeakKeyDictionary

import torch

from searchlab.engines.engine import EngineOptions, Score
from searchlab.engines.prepared_model import Compile, PreparedModel
from searchlab.errors import UserError
from searchlab.model.early_exit import EarlyExitNetwork

_KEPT: "WeakKeyDictionary[EarlyExitNetwork, tuple[Hashable, PreparedModel]]" = WeakKeyDictionary()


def prepared_once(
    engine: str,
    network: EarlyExitNetwork,
    image_NCHW: torch.Tensor,
    scores: Mapping[str, Score],
    compiled: Compile,
    options: EngineOptions,
) -> PreparedModel:
    """Prepares a network in an engine, or returns what was prepared last, if it is the same with the same weights.

    Raises:
        UserError: a layer of the network has no counterpart in ONNX.
    """
    if image_NCHW.shape[0] != 1:
        allowed = "a batch size of 1, or --engine torch"
        raise UserError(
            "engine-unusable", "it runs one image at a time", where=engine, value=image_NCHW.shape[0], allowed=allowed
        )
    key = (engine, image_NCHW.shape, tuple(scores), options, _state(network))
    kept = _KEPT.get(network)
    if kept is None or kept[0] != key:
        kept = _KEPT[network] = (key, PreparedModel(network, image_NCHW, scores, compiled, options))
    return kept[1]


def _state(network: EarlyExitNetwork) -> tuple[tuple[int, int], ...]:
    """Which tensors a network has, and how often each was written to."""
    tensors = network.state_dict().values()
    # Tensors made in inference mode are not counted.
    return tuple((tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version) for tensor in tensors)
