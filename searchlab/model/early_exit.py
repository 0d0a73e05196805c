"""A backbone divided into stages, with exits at the cuts.

Shape suffixes: N images, C channels (of images and maps) or classes (of logits), H and W pixels, K exits, G gates (one
fewer than exits, or none).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from searchlab.architecture import ImageSpec, Partitioned
from searchlab.candidate import Candidate
from searchlab.model.blocks import Make, Stage
from searchlab.model.heads import plan_gate, plan_head
from searchlab.model.partitioned import routed_experts
from searchlab.model.stages import stages_of

OWN_HEADS: dict[str, Callable[[Any, ImageSpec], nn.Module]] = {
    "partitioned": routed_experts,
    "torchvision": lambda architecture, images: nn.Identity(),  # The last stage returns logits_NC.
}
"""Kind of architecture to the head that belongs to it, at `Candidate.own_cuts`."""


class EarlyExitNetwork(nn.Module):
    """Stages by name in a row, a head on each cut in use, and, with learned gates, a gate before each but the last.

    `forward` runs all stages and heads, as training and exit tables need. `deploy.runtime` runs the same stages, gates
    and heads one by one, so that samples leave early.
    """

    def __init__(
        self,
        stages: Mapping[str, nn.Module],
        heads: Sequence[nn.Module],
        cuts: Sequence[int],
        gates: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        assert len(heads) == len(cuts)
        assert len(gates) in (0, len(heads) - 1)
        self.stages = nn.ModuleList(stages.values())
        self.stage_names = tuple(stages)
        self.heads = nn.ModuleList(heads)
        self.gates = nn.ModuleList(gates)
        self.cuts = tuple(cuts)

    def maps(self, images_NCHW: torch.Tensor) -> list[torch.Tensor]:
        """Returns the map at every exit's cut, from images_NCHW."""
        maps, map_NCHW = [], images_NCHW
        for index, stage in enumerate(self.stages):
            map_NCHW = stage(map_NCHW)
            if index in self.cuts:
                maps.append(map_NCHW)
        return maps

    def logits(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Returns logits_NKC of all exits, from the maps at all cuts."""
        return torch.stack([head(map_NCHW) for head, map_NCHW in zip(self.heads, maps, strict=True)], dim=1)

    def gate_logits(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Returns gates_NG, from the maps at all cuts."""
        assert len(self.gates), "the network has no gates"
        return torch.cat([gate(map_NCHW) for gate, map_NCHW in zip(self.gates, maps, strict=False)], dim=1)

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Returns logits_NKC of all exits, from images_NCHW; gates are not run."""
        return self.logits(self.maps(images_NCHW))


@dataclass(frozen=True)
class NetworkPlan:
    """How the parts of a network are made: stages, heads by their cut, gates. They are initialised in this order."""

    stages: tuple[Stage, ...]
    heads: dict[int, Make]
    gates: tuple[Make, ...]


def plan_of(candidate: Candidate, images: ImageSpec) -> NetworkPlan:
    """Plans the network of a candidate; nothing is made but what cannot be made in parts.

    Raises:
        UserError: the backbone cannot take images of this size, or a head or gate does not fit on its cut.
    """
    stages = _stages(candidate, images)
    heads: dict[int, Make] = {
        cut: plan_head(head, stages[cut], images.classes, where=place_of(candidate, cut))
        for cut, head in candidate.heads.items()
    }
    for cut in candidate.own_cuts:
        heads[cut] = partial(OWN_HEADS[candidate.architecture.kind], candidate.architecture, images)
    gates = [
        plan_gate(exit.gate, stages[exit.cut], where=f"gate at cut {exit.cut}")
        for exit in candidate.exits
        if exit.gate is not None
    ]
    return NetworkPlan(tuple(stages), heads, tuple(gates))


def build(candidate: Candidate, images: ImageSpec) -> EarlyExitNetwork:
    """Builds the network of a candidate, initialised from torch's global generator.

    Raises:
        UserError: the backbone cannot take images of this size, or a head or gate does not fit on its cut.
    """
    plan = plan_of(candidate, images)
    stages = {stage.name: stage.make() for stage in plan.stages}
    heads = {cut: make() for cut, make in plan.heads.items()}
    gates = [make() for make in plan.gates]
    return EarlyExitNetwork(stages, [heads[cut] for cut in candidate.cuts], candidate.cuts, gates)


def place_of(candidate: Candidate, cut: int) -> str:
    """Returns the name of the exit on a cut, for messages."""
    return "final head" if cut == candidate.architecture.stages - 1 else f"exit at cut {cut}"


def _stages(candidate: Candidate, images: ImageSpec) -> list[Stage]:
    architecture = candidate.architecture
    if not isinstance(architecture, Partitioned):
        return stages_of(architecture, images)
    as_it_is = Stage("image", nn.Identity, images.channels, images.height, images.width)
    return [as_it_is, *(stages_of(architecture.generalist, images) if architecture.generalist else [])]
