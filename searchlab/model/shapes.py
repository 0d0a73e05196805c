"""Networks with shapes and without values, to count their costs quickly on torch's meta device.

Shape suffixes: N images, C channels, H and W pixels.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def _as_it_is(tensor: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
    return tensor


def _conv_shape(layer: nn.Conv2d, map_NCHW: torch.Tensor) -> torch.Tensor:
    if isinstance(layer.padding, str):
        return type(layer).forward(layer, map_NCHW)
    sides = zip(map_NCHW.shape[2:], layer.kernel_size, layer.padding, layer.dilation, layer.stride, strict=True)
    pixels = [
        (side + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1 for side, kernel, pad, dilation, stride in sides
    ]
    return map_NCHW.new_empty(len(map_NCHW), layer.out_channels, *pixels)


def _linear_shape(layer: nn.Linear, values: torch.Tensor) -> torch.Tensor:
    return values.new_empty(*values.shape[:-1], layer.out_features)


def _same_shape(layer: nn.Module, values: torch.Tensor) -> torch.Tensor:
    return values


def _pool_shape(layer: nn.AdaptiveAvgPool2d, map_NCHW: torch.Tensor) -> torch.Tensor:
    if not isinstance(layer.output_size, int):
        return type(layer).forward(layer, map_NCHW)
    return map_NCHW.new_empty(*map_NCHW.shape[:-2], layer.output_size, layer.output_size)


def _flat_shape(layer: nn.Flatten, values: torch.Tensor) -> torch.Tensor:
    if (layer.start_dim, layer.end_dim) != (1, -1):
        return type(layer).forward(layer, values)
    return values.new_empty(len(values), values.numel() // len(values))


def _sum_shape(one: Any, other: Any, **named: Any) -> Any:
    alike = isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor) and one.shape == other.shape
    return one if alike else torch.add(one, other, **named)


LAYERS: dict[type[nn.Module], Callable[[Any, torch.Tensor], torch.Tensor]] = {
    nn.Conv2d: _conv_shape,
    nn.Linear: _linear_shape,
    nn.AdaptiveAvgPool2d: _pool_shape,
    nn.Flatten: _flat_shape,
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.ReLU, nn.Identity, nn.Dropout), _same_shape),
}
"""Kind of layer to the rule of its output's shape. Without it, torch would run slow decompositions."""

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    F.relu: _as_it_is,
    **dict.fromkeys((torch.add, torch.Tensor.add, torch.Tensor.__add__), _sum_shape),
}
"""Function that blocks call to the rule of its result's shape."""

INITIALISATIONS: dict[Any, Callable[..., Any]] = dict.fromkeys(
    (
        *(nn.init.uniform_, nn.init.normal_, nn.init.constant_, nn.init.kaiming_uniform_, nn.init.kaiming_normal_),
        *(torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.fill_, torch.Tensor.zero_),
    ),
    _as_it_is,
)
"""Functions that fill a tensor; they have no effect on the meta device."""


class _Replaced(TorchFunctionMode):
    """Replaces functions by others, in the current thread."""

    def __init__(self, others: Mapping[Any, Callable[..., Any]]) -> None:
        super().__init__()
        self.others = others

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.others.get(func, func)(*args, **(kwargs or {}))


@contextmanager
def without_values() -> Iterator[None]:
    """Within the block, modules are built on the meta device, without values and initialisation."""
    with torch.device("meta"), _Replaced(INITIALISATIONS):
        yield


@contextmanager
def shapes_by_rule(network: nn.Module) -> Iterator[None]:
    """Within the block, layers and functions compute shapes by rule. The network is unusable for values afterwards."""
    for layer in network.modules():
        if type(layer) in LAYERS:
            layer.forward = partial(LAYERS[type(layer)], layer)
    with torch.no_grad(), _Replaced(FUNCTIONS):
        yield
