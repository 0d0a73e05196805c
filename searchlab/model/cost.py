"""Parameters and MACs, known from the candidate alone: built on the meta device, nothing is allocated."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import torch
from torch import nn

from searchlab.architecture import Backbone, ImageSpec, Partitioned, Torchvision
from searchlab.candidate import Candidate
from searchlab.errors import UserError
from searchlab.model.blocks import Make
from searchlab.model.early_exit import EarlyExitNetwork, plan_of
from searchlab.model.macs import Rule, check_countable, rule_for
from searchlab.model.partitioned import check_partitioned
from searchlab.model.shapes import shapes_by_rule, without_values
from searchlab.record import NetworkCost, SegmentCost


def parameter_count(module: nn.Module) -> int:
    """Returns the number of learned parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


Shape = tuple[int, ...]
"""Of a tensor, for one image."""


@dataclass(frozen=True)
class _PartCost:
    """Cost of a stage, head or gate on an input of one shape, and the shape that it returns."""

    params: int
    macs: int
    returned: Shape


def _part_cost(make: Make, shape: Shape, place: str) -> _PartCost:
    """Cost of what `make` makes; `place` is its path in the network, for messages.

    Raises:
        UserError: a layer has no rule for counting its MACs.
    """
    try:
        if isinstance(make, partial):
            return _known_part_cost(make.func, make.args, tuple(sorted(make.keywords.items())), shape)
        return _counted(make, shape)
    except UserError as error:
        raise error.at(f"{place}.{error.where}" if error.where else place) from error


@lru_cache(maxsize=2**16)
def _known_part_cost(
    make: Callable[..., nn.Module], args: tuple[Any, ...], named: tuple[tuple[str, Any], ...], shape: Shape
) -> _PartCost:
    """Networks of a search share most of their parts: each kind is counted once."""
    return _counted(partial(make, *args, **dict(named)), shape)


def _counted(make: Make, shape: Shape) -> _PartCost:
    """Makes a part without values and counts its MACs in one forward pass, which spoils it."""
    with without_values():
        part = make().eval()
        input = torch.empty(shape)
    check_countable(part)
    macs = 0

    def count(rule: Rule, layer: nn.Module, output: Any) -> None:
        nonlocal macs
        macs += rule(layer, output)

    for layer in part.modules():
        if rule := rule_for(layer):
            layer.register_forward_hook(lambda layer, _, output, rule=rule: count(rule, layer, output))
    with shapes_by_rule(part):
        returned = part(input)
    return _PartCost(parameter_count(part), macs, tuple(returned.shape))


def stage_macs(network: EarlyExitNetwork, shape: Shape) -> list[int]:
    """Returns the MACs of every stage of a built network, which stays as it is."""
    macs = []
    for stage in network.stages:
        cost = _counted(partial(_without_values_of, stage), shape)
        macs.append(cost.macs)
        shape = cost.returned
    return macs


def _without_values_of(part: nn.Module) -> nn.Module:
    return copy.deepcopy(part).to("meta")


@lru_cache(maxsize=1024)
def network_cost(candidate: Candidate, images: ImageSpec) -> NetworkCost:
    """Parameters and MACs per image of every stage, head and gate, equal to what the built network has.

    Raises:
        UserError: the candidate cannot be built for these images, or a layer has no rule for counting its MACs.
    """
    if isinstance(candidate.architecture, Partitioned):
        return _partitioned_cost(candidate.architecture, candidate, images)
    with without_values():
        plan = plan_of(candidate, images)
    stages: list[SegmentCost] = []
    shapes: list[Shape] = [(1, images.channels, images.height, images.width)]
    for index, stage in enumerate(plan.stages):
        cost = _part_cost(stage.make, shapes[-1], f"stages.{index}")
        stages.append(SegmentCost(stage.name, cost.params, cost.macs))
        shapes.append(cost.returned)
    cuts = candidate.cuts

    def hung(kind: str, index: int, make: Make, name: str) -> SegmentCost:
        cost = _part_cost(make, shapes[cuts[index] + 1], f"{kind}.{index}")
        return SegmentCost(name, cost.params, cost.macs)

    names = [*(f"exit {cut}" for cut in cuts[:-1]), "final"]
    heads = [hung("heads", index, plan.heads[cut], names[index]) for index, cut in enumerate(cuts)]
    gates = [hung("gates", index, make, f"gate {cuts[index]}") for index, make in enumerate(plan.gates)]
    return NetworkCost(tuple(stages), tuple(heads), cuts, tuple(gates))


def _partitioned_cost(architecture: Partitioned, candidate: Candidate, images: ImageSpec) -> NetworkCost:
    """Adds up the costs of the networks of a partition; equal experts are computed once.

    Classes are assumed to be equally likely, so with hard routing an expert runs for its share of the classes.
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
