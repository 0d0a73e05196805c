"""Parameters and MACs, known from the candidate alone: built on the meta device, nothing is allocated.

Shape suffixes: N images, C channels, H and W pixels.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from searchlab.architecture import Backbone, ImageSpec, Partitioned, Torchvision
from searchlab.candidate import Candidate
from searchlab.model.early_exit import EarlyExitNetwork, build
from searchlab.model.macs import Rule, check_countable, rule_for
from searchlab.model.partitioned import check_partitioned
from searchlab.model.shapes import shapes_by_rule, without_values
from searchlab.record import NetworkCost, SegmentCost


def parameter_count(module: nn.Module) -> int:
    """How many numbers a module learns."""
    return sum(parameter.numel() for parameter in module.parameters())


def _macs_per_part(network: EarlyExitNetwork, images_NCHW: torch.Tensor) -> list[int]:
    """MACs of every stage, then every head, then every gate, in one forward pass that spoils the network."""
    parts = [*network.stages, *network.heads, *network.gates]
    totals = [0] * len(parts)

    def count(part: int, rule: Rule, layer: nn.Module, output: Any) -> None:
        totals[part] += rule(layer, output)

    for part, module in enumerate(parts):
        for layer in module.modules():
            if rule := rule_for(layer):
                layer.register_forward_hook(
                    lambda layer, _, output, part=part, rule=rule: count(part, rule, layer, output)
                )
    with shapes_by_rule(network):
        maps = network.maps(images_NCHW)
        for readers in (network.heads, network.gates):
            for reader, map_NCHW in zip(readers, maps, strict=False):
                reader(map_NCHW)
    return totals


@lru_cache(maxsize=1024)
def network_cost(candidate: Candidate, images: ImageSpec) -> NetworkCost:
    """Parameters and MACs per image of every stage, head and gate, equal to what the built network has.

    Raises:
        UserError: the candidate cannot be built for these images, or a layer has no rule for counting its MACs.
    """
    if isinstance(candidate.architecture, Partitioned):
        return _partitioned_cost(candidate.architecture, candidate, images)
    with without_values():
        network = build(candidate, images).eval()
    check_countable(network)
    macs = _macs_per_part(network, torch.empty(1, images.channels, images.height, images.width, device="meta"))
    parts = [*network.stages, *network.heads, *network.gates]
    early = [f"exit {cut}" for cut in network.cuts[:-1]]
    names = [*network.stage_names, *early, "final", *(f"gate {cut}" for cut in network.cuts[: len(network.gates)])]
    costs = [
        SegmentCost(name, parameter_count(part), part_macs)
        for name, part, part_macs in zip(names, parts, macs, strict=True)
    ]
    stages, heads = len(network.stages), len(network.stages) + len(network.heads)
    return NetworkCost(tuple(costs[:stages]), tuple(costs[stages:heads]), network.cuts, tuple(costs[heads:]))


def _partitioned_cost(architecture: Partitioned, candidate: Candidate, images: ImageSpec) -> NetworkCost:
    """The costs of its networks put together; where experts are alike, they are counted once.

    All classes being equally likely, an expert under hard routing runs for its share of the classes.
    """
    check_partitioned(architecture, images.classes)
    params, router_macs = _classifier_cost(architecture.router, images, len(architecture.groups))
    expert_macs = 0.0
    for backbone, group in zip(architecture.experts, architecture.groups, strict=True):
        own_params, own_macs = _classifier_cost(backbone, images, len(group))
        params += own_params
        expert_macs += own_macs * (len(group) / images.classes if architecture.routing == "hard" else 1.0)
    stages, heads = [SegmentCost("image", 0, 0)], [SegmentCost("", params, router_macs + round(expert_macs))]
    if architecture.generalist is not None:
        exits = tuple(replace(exit, cut=exit.cut - 1) for exit in candidate.exits)
        cost = network_cost(Candidate(architecture.generalist, exits, candidate.final), images)
        stages, heads = [*stages, *cost.stages], [*heads, *cost.heads]
    names = [*(f"exit {cut}" for cut in candidate.cuts[:-1]), "final"]
    named = tuple(replace(head, name=name) for head, name in zip(heads, names, strict=True))
    return NetworkCost(tuple(stages), named, candidate.cuts)


def _classifier_cost(backbone: Backbone, images: ImageSpec, classes: int) -> tuple[int, int]:
    """Parameters and MACs of a router or expert: those of the one for two classes, and its head's other columns."""
    if isinstance(backbone, Torchvision):
        cost = network_cost(Candidate(backbone), replace(images, classes=classes))
        return cost.params, cost.macs
    params, macs, features = _for_two_classes(backbone, replace(images, classes=2))
    return params + (features + 1) * (classes - 2), macs + features * (classes - 2)


@lru_cache(maxsize=4096)
def _for_two_classes(backbone: Backbone, images: ImageSpec) -> tuple[int, int, int]:
    """Parameters, MACs, and the features that its head reads, which is one linear layer."""
    cost = network_cost(Candidate(backbone), images)
    return cost.params, cost.macs, cost.heads[-1].macs // images.classes


@lru_cache(maxsize=1024)
def params_of(candidate: Candidate, images: ImageSpec) -> int:
    """Parameters alone: half the work of `network_cost`."""
    with without_values():
        return parameter_count(build(candidate, images))
