"""Rules that count the multiply-accumulates of layers. A layer without a rule is an error, so that caps always hold.

Shape suffixes: N images, C channels, H and W pixels.
"""

import operator
from collections.abc import Callable, Container
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from searchlab.errors import UserError
from searchlab.model.backbones.torchvision import ATTENTION_MACS, ELEMENTWISE

Rule = Callable[[Any, Any], int]
"""Layer and output to MACs per image."""


def _conv_macs(layer: nn.Conv2d, map_NCHW: torch.Tensor) -> int:
    per_pixel = layer.in_channels // layer.groups * layer.kernel_size[0] * layer.kernel_size[1]
    return per_pixel * map_NCHW[0].numel()


def _linear_macs(layer: nn.Linear, output: torch.Tensor) -> int:
    return layer.in_features * output[0].numel()


def _attention_macs(layer: nn.MultiheadAttention, output: tuple[torch.Tensor, ...]) -> int:
    """Counts the projections to queries, keys, values and output of every token, then attention between all tokens."""
    tokens, features = output[0].shape[1:]
    return 4 * tokens * features**2 + 2 * tokens**2 * features


COUNTED: dict[type[nn.Module], Rule] = {
    nn.Conv2d: _conv_macs,
    nn.Linear: _linear_macs,
    nn.MultiheadAttention: _attention_macs,
    **ATTENTION_MACS,
}
"""Kind of layer to the rule that counts its MACs."""

COMPUTATIONS = ("forward", "_conv_forward")
"""Methods that define the computation of a layer. nn.Conv2d divides its forward pass in two."""


UNCOUNTED: tuple[type[nn.Module], ...] = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm),
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish),
    *(nn.Sigmoid, nn.Hardsigmoid, nn.Tanh, nn.Softmax),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d),
    *(nn.Identity, nn.Flatten, nn.Dropout, nn.Dropout2d),
    *ELEMENTWISE,
)
"""Kinds of layers that count as 0 MACs, by convention: normalisation, activation, pooling, reshaping, dropout."""

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
"""Kinds of modules that may be empty."""

PRODUCTS = frozenset(
    {
        *(operator.matmul, torch.matmul, torch.mm, torch.bmm, torch.addmm, torch.baddbmm, torch.einsum),
        *(F.linear, F.bilinear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose2d, F.scaled_dot_product_attention),
        *("matmul", "mm", "bmm", "addmm", "baddbmm"),
    }
)
"""Functions, and methods of tensors, whose MACs no layer counts. A traced stage must not call them."""


def check_countable(network: nn.Module) -> None:
    """Checks that the MACs of every layer are known.

    Raises:
        UserError: a layer has no rule. Its class and its path in the network are named.
    """
    for path, module in network.named_modules():
        if isinstance(module, fx.GraphModule):
            _check_graph(module, path)
        elif not _is_known(module):
            raise _uncountable(f"{type(module).__module__}.{type(module).__qualname__}", path)


def rule_for(layer: nn.Module) -> Rule | None:
    """Returns the rule that counts a layer's MACs; None if its kind is not among COUNTED."""
    kind = _kind_of(layer, COUNTED)
    return None if kind is None else COUNTED[kind]


def _kind_of(layer: nn.Module, kinds: Container[type[nn.Module]]) -> type[nn.Module] | None:
    """Returns the nearest of the kinds that a layer belongs to.

    A subclass belongs to its parent's kind only if it has the parent's forward pass.
    """
    nearest = next((kind for kind in type(layer).__mro__ if kind in kinds), None)
    same = nearest is not None and all(
        getattr(type(layer), name, None) is getattr(nearest, name, None) for name in COMPUTATIONS
    )
    return nearest if same else None


def _is_known(module: nn.Module) -> bool:
    """Returns whether a module is counted, counts as 0, or only calls other modules."""
    if _kind_of(module, COUNTED) or _kind_of(module, UNCOUNTED) or isinstance(module, CONTAINERS):
        return True
    # Tracing leaves bare modules, which hold the parameters that a graph adds or multiplies elementwise.
    traced = type(module) is nn.Module
    return traced or (any(True for _ in module.children()) and not [*module.parameters(recurse=False)])


def _check_graph(stage: fx.GraphModule, path: str) -> None:
    for node in stage.graph.nodes:
        if node.op in ("call_function", "call_method") and node.target in PRODUCTS:
            raise _uncountable(f"function {getattr(node.target, '__name__', node.target)}", f"{path}.{node.name}")


def _uncountable(value: str, path: str) -> UserError:
    allowed = "add its kind to COUNTED, or to UNCOUNTED, in searchlab/model/macs.py"
    return UserError(
        "uncountable-layer", "layer has no rule for counting its MACs", where=path, value=value, allowed=allowed
    )
