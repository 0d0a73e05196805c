"""Parameters and MACs, known from the candidate alone: built on the meta device, nothing is allocated.

Shape suffixes: N images, C channels, H and W pixels.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from searchlab.candidate import Candidate, ImageSpec
from searchlab.model.early_exit import EarlyExitNetwork, build
from searchlab.record import NetworkCost, SegmentCost


def parameter_count(module: nn.Module) -> int:
    """How many numbers a module learns."""
    return sum(parameter.numel() for parameter in module.parameters())


def _conv_macs(layer: nn.Conv2d, map_NCHW: torch.Tensor) -> int:
    per_pixel = layer.in_channels // layer.groups * layer.kernel_size[0] * layer.kernel_size[1]
    return per_pixel * map_NCHW[0].numel()


def _linear_macs(layer: nn.Linear, output: torch.Tensor) -> int:
    return layer.in_features * output[0].numel()


MACS: dict[type[nn.Module], Callable[[Any, torch.Tensor], int]] = {nn.Conv2d: _conv_macs, nn.Linear: _linear_macs}
"""Layers whose multiply-accumulates count. Normalisation, activation and pooling are left out, as is the custom."""


def _macs_per_part(network: EarlyExitNetwork, images_NCHW: torch.Tensor) -> list[int]:
    """MACs of every stage, then of every head, in one forward pass that spoils the network."""
    parts = [*network.stages, *network.heads]
    totals = [0] * len(parts)

    def count(part: int, layer: nn.Module, output: torch.Tensor) -> None:
        totals[part] += MACS[type(layer)](layer, output)

    for part, module in enumerate(parts):
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                # It changes no shape, and on the meta device it takes most of the time.
                layer.forward = nn.Identity().forward  # type: ignore[method-assign]
            if type(layer) in MACS:
                layer.register_forward_hook(lambda layer, _, output, part=part: count(part, layer, output))
    with torch.no_grad():
        network(images_NCHW)
    return totals


@lru_cache(maxsize=1024)
def network_cost(candidate: Candidate, images: ImageSpec) -> NetworkCost:
    """Parameters and MACs per image of every stage and head, equal to what the built network has.

    Raises:
        UserError: the candidate cannot be built for these images.
    """
    with torch.device("meta"):
        network = build(candidate, images).eval()
    macs = _macs_per_part(network, torch.empty(1, images.channels, images.height, images.width, device="meta"))
    names = [*network.stage_names, *(f"exit {cut}" for cut in network.cuts[:-1]), "final"]
    costs = [
        SegmentCost(name, parameter_count(part), part_macs)
        for name, part, part_macs in zip(names, [*network.stages, *network.heads], macs, strict=True)
    ]
    split = len(network.stages)
    return NetworkCost(stages=tuple(costs[:split]), heads=tuple(costs[split:]), cuts=network.cuts)


def excess_over(cost: NetworkCost, max_params: int | None, max_macs: int | None) -> dict[str, float]:
    """How far a network is over each limit, as a share of the limit; empty where it holds them all."""
    limits = {"params": (cost.params, max_params), "macs": (cost.macs, max_macs)}
    return {name: value / limit - 1 for name, (value, limit) in limits.items() if limit is not None and value > limit}


def fit(
    candidate: Candidate,
    images: ImageSpec,
    max_params: int | None = None,
    max_macs: int | None = None,
    *,
    multiple: int = 1,
) -> Candidate:
    """The candidate with the largest base width that holds the limits, all heads counted; as it is without limits.

    The projection that spaces use (design section 9): sampled parameters keep fixed ranges, the cap decides the width.
    Where as many as `multiple` channels fit, the width is rounded down to a multiple of it: convolutions on 16
    channels can take half the time of those on 20. Where not even width 1 fits, the candidate comes back with width 1,
    and is then recorded as infeasible.
    """
    if max_params is None and max_macs is None:
        return candidate

    def room(width: int) -> float:
        """By what factor the tightest limit could be shared out more: at least 1 where all limits hold."""
        widened = _with_width(candidate, width)
        if max_macs is None:
            assert max_params is not None
            return max_params / _params(widened, images)
        cost = network_cost(widened, images)
        return min(max_macs / cost.macs, max_params / cost.params if max_params else math.inf)

    # Costs grow about with the square of the width: three steps land beside the answer, the walk ends on it.
    width = candidate.architecture.width
    for _ in range(3):
        width = max(1, int(width * room(width) ** 0.5))
    while room(width + 1) >= 1:
        width += 1
    while width > 1 and room(width) < 1:
        width -= 1
    return _with_width(candidate, width - width % multiple if width > multiple else width)


@lru_cache(maxsize=1024)
def _params(candidate: Candidate, images: ImageSpec) -> int:
    """Parameters alone: half the work of `network_cost`."""
    with torch.device("meta"):
        return parameter_count(build(candidate, images))


def _with_width(candidate: Candidate, width: int) -> Candidate:
    return replace(candidate, architecture=replace(candidate.architecture, width=width))
