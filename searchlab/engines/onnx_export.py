"""A torch module of one input and one output as an ONNX graph.

Shape suffixes: N images, C channels, H and W pixels, P pooled pixels.
"""

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch
from onnx import GraphProto
from torch import nn

from searchlab.engines.onnx_nodes import OPSET
from searchlab.errors import UserError

BATCH = "N"
"""Name of the dimension that counts the images of a batch."""


def exported(module: nn.Module, shape: Sequence[int], where: str, *, dynamic: bool = False) -> GraphProto:
    """Exports a module for inputs of a shape; `dynamic`: of any batch size.

    torch's older exporter is used: it takes some milliseconds for a piece of a network, the newer one a second, and
    it folds batch normalisation into convolutions.

    Raises:
        UserError: an operator of the module has no counterpart in ONNX.
    """
    module = _exportable(module, shape)
    axes = {name: {0: BATCH} for name in ("x", "y")} if dynamic else None
    try:
        # The older exporter announces its own replacement on every call, and traces warn of every Python number.
        with warnings.catch_warnings(), TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            file = Path(folder) / "piece.onnx"
            torch.onnx.export(
                module,
                (torch.zeros(tuple(shape)),),
                file,
                dynamo=False,
                opset_version=OPSET,
                input_names=["x"],
                output_names=["y"],
                dynamic_axes=axes,
            )
            return onnx.load(file).graph
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error).splitlines()[0]
        raise UserError("unsupported-network", "no counterpart in ONNX", where=where, allowed=reason) from error


def output_shape(module: nn.Module, shape: Sequence[int]) -> tuple[int, ...]:
    """Returns the shape of a module's output."""
    with torch.no_grad():
        return tuple(module(torch.zeros(tuple(shape))).shape)


class FixedPool(nn.Module):
    """Adaptive average pooling of maps of one size as two matrix products.

    ONNX has adaptive pooling only where the sizes divide.
    """

    rows_PH: torch.Tensor
    columns_WP: torch.Tensor

    def __init__(self, size: tuple[int, int], pooled: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("rows_PH", _averages(size[0], pooled[0]))
        self.register_buffer("columns_WP", _averages(size[1], pooled[1]).T.contiguous())

    def forward(self, map_NCHW: torch.Tensor) -> torch.Tensor:
        """map_NCHW to its averages."""
        return self.rows_PH @ (map_NCHW @ self.columns_WP)


def _averages(size: int, pooled: int) -> torch.Tensor:
    """averages_PH, the weights of every pixel in every window, as torch places the windows."""
    averages_PH = torch.zeros(pooled, size)
    for place in range(pooled):
        begin, end = place * size // pooled, -(-(place + 1) * size // pooled)
        averages_PH[place, begin:end] = 1 / (end - begin)
    return averages_PH


def _exportable(module: nn.Module, shape: Sequence[int]) -> nn.Module:
    """A copy on the CPU in eval mode, with `FixedPool` where ONNX has no adaptive pooling."""
    module = copy.deepcopy(module).cpu().eval()
    sizes: dict[nn.Module, tuple[int, int]] = {}

    def note(pool: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        sizes[pool] = (given[0].shape[-2], given[0].shape[-1])

    pools = [each for each in module.modules() if isinstance(each, nn.AdaptiveAvgPool2d)]
    if not pools:
        return module
    hooks = [pool.register_forward_pre_hook(note) for pool in pools]
    output_shape(module, shape)
    for hook in hooks:
        hook.remove()
    return _replaced(module, {pool: fixed for pool, size in sizes.items() if (fixed := _fixed(pool, size)) is not None})


def _fixed(pool: nn.Module, size: tuple[int, int]) -> FixedPool | None:
    assert isinstance(pool, nn.AdaptiveAvgPool2d)
    asked = pool.output_size if isinstance(pool.output_size, tuple) else (pool.output_size, pool.output_size)
    height, width = (own if wanted is None else wanted for wanted, own in zip(asked, size, strict=True))
    divides = size[0] % height == 0 and size[1] % width == 0
    return None if divides else FixedPool(size, (height, width))


def _replaced(module: nn.Module, others: dict[nn.Module, FixedPool]) -> nn.Module:
    if module in others:
        return others[module]
    for parent in module.modules():
        for name, child in list(parent.named_children()):
            if child in others:
                setattr(parent, name, others[child])
    return module
