"""A backbone cut into stages, with exits hung on the cuts.

Shape suffixes: N images, C channels (of images and maps) or classes (of logits), H and W pixels, K exits.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from searchlab.candidate import Candidate, ImageSpec
from searchlab.model.backbones.resnet import resnet_stages
from searchlab.model.blocks import Stage
from searchlab.model.heads import build_head

BACKBONES: dict[str, Callable[[Any, ImageSpec], list[Stage]]] = {"resnet": resnet_stages}
"""Architecture kind to the function that builds its stages."""


class EarlyExitNetwork(nn.Module):
    """Stages in a row and a head on each cut in use; the last head is the final one.

    Called as a whole it runs everything, which is what training and exit tables want. Leaving early for real is the
    business of `deploy.runtime`, which runs the same stages and heads one by one.
    """

    def __init__(self, stages: Sequence[Stage], heads: Sequence[nn.Module], cuts: Sequence[int]) -> None:
        super().__init__()
        assert len(heads) == len(cuts)
        self.stages = nn.ModuleList(stage.module for stage in stages)
        self.stage_names = tuple(stage.name for stage in stages)
        self.heads = nn.ModuleList(heads)
        self.cuts = tuple(cuts)

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """images_NCHW to logits_NKC, every exit's."""
        logits, map_NCHW = [], images_NCHW
        for index, stage in enumerate(self.stages):
            map_NCHW = stage(map_NCHW)
            if index in self.cuts:
                logits.append(self.heads[self.cuts.index(index)](map_NCHW))
        return torch.stack(logits, dim=1)


def build(candidate: Candidate, images: ImageSpec) -> EarlyExitNetwork:
    """The network of a candidate, freshly initialised from torch's global generator.

    Raises:
        UserError: a head does not fit on its cut.
    """
    stages = BACKBONES[candidate.architecture.kind](candidate.architecture, images)
    places = [*(f"exit at cut {exit.cut}" for exit in candidate.exits), "final head"]
    heads = [
        build_head(head, stages[cut], images.classes, where=place)
        for head, cut, place in zip(candidate.heads, candidate.cuts, places, strict=True)
    ]
    return EarlyExitNetwork(stages, heads, candidate.cuts)
