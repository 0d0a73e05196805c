"""A router over groups of classes and one expert per group (paper 003), as one head on the image itself.

Shape suffixes: N images, R those that go one way, C classes (in images_NCHW, channels), G groups, H and W pixels.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from searchlab.architecture import Backbone, ImageSpec, Partitioned, Torchvision
from searchlab.candidate import Head
from searchlab.errors import UserError
from searchlab.model.heads import plan_head
from searchlab.model.stages import stages_of


class Classifier(nn.Module):
    """A network without exits: stages in a row, then its head."""

    def __init__(self, stages: Sequence[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.stages = nn.Sequential(*stages)
        self.head = head

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """images_NCHW to logits, one for each of its classes."""
        logits: torch.Tensor = self.head(self.stages(images_NCHW))
        return logits


class RoutedExperts(nn.Module):
    """images_NCHW to logits_NC over all classes, which are the logarithms of probabilities that sum to 1.

    "soft": p(group) p(class | group). "hard": only the expert of the likeliest group is run. The remaining probability
    1 - p(group) is spread evenly over all C classes: p(group) p(class | group) + (1 - p(group)) / C. So the expert's
    classes keep their order and come before all others. Every score of this exit (highest probability, margin, entropy)
    then reflects the uncertainty of both the router and the expert.
    """

    _by_group_C: torch.Tensor
    _place_C: torch.Tensor
    capturable: bool
    """Whether a CUDA graph can capture it. Hard routing is data-dependent, so it cannot be captured."""

    def __init__(self, router: Classifier, experts: Sequence[Classifier], architecture: Partitioned) -> None:
        super().__init__()
        self.router = router
        self.experts = nn.ModuleList(experts)
        self.groups = architecture.groups
        self.hard = architecture.routing == "hard"
        self.capturable = not self.hard
        by_group = [number for group in self.groups for number in group]
        self.classes = len(by_group)
        # Not persistent: the groups belong to the architecture and are not learned.
        self.register_buffer("_by_group_C", torch.tensor(by_group), persistent=False)
        self.register_buffer("_place_C", torch.tensor(by_group).argsort(), persistent=False)

    def route(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """log p(group) as log_group_NG."""
        return F.log_softmax(self.router(images_NCHW).float(), dim=1)

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """images_NCHW to logits_NC."""
        log_group_NG = self.route(images_NCHW)
        return (self._hard if self.hard else self._soft)(images_NCHW, log_group_NG)

    def _within(self, group: int, images_RCHW: torch.Tensor) -> torch.Tensor:
        """log p(class | group), a column for every class of the group."""
        return F.log_softmax(self.experts[group](images_RCHW).float(), dim=1)

    def _soft(self, images_NCHW: torch.Tensor, log_group_NG: torch.Tensor) -> torch.Tensor:
        # Every class is in one group, so the sum over groups of p(g) p(class given g) has one term.
        columns = [self._within(group, images_NCHW) + log_group_NG[:, group, None] for group in range(len(self.groups))]
        return torch.cat(columns, dim=1).index_select(1, self._place_C)

    def _hard(self, images_NCHW: torch.Tensor, log_group_NG: torch.Tensor) -> torch.Tensor:
        group_N = log_group_NG.argmax(dim=1)
        known_NC = log_group_NG.new_full((len(images_NCHW), self.classes), -math.inf)
        members = torch.split(self._by_group_C, [len(group) for group in self.groups])
        for group in torch.unique(group_N).tolist():
            rows_R = (group_N == group).nonzero().squeeze(1)
            images_RCHW = images_NCHW if len(rows_R) == len(images_NCHW) else images_NCHW.index_select(0, rows_R)
            within = self._within(group, images_RCHW) + log_group_NG[rows_R, group, None]
            known_NC[rows_R[:, None], members[group]] = within
        # Compute log(1 - p) from the other groups, not from p: it stays finite if p is nearly 1.
        doubt_N1 = log_group_NG.scatter(1, group_N[:, None], -math.inf).logsumexp(dim=1, keepdim=True)
        return torch.logaddexp(known_NC, doubt_N1 - math.log(self.classes))


def routed_experts(architecture: Partitioned, images: ImageSpec) -> RoutedExperts:
    """Builds the router and its experts, initialised from torch's global generator.

    Raises:
        UserError: the groups do not name every class once, or a network cannot be built for images of this size.
    """
    check_partitioned(architecture, images.classes)
    router = _classifier(architecture.router, images, len(architecture.groups), "router")
    experts = [
        _classifier(backbone, images, len(group), f"expert {number}")
        for number, (backbone, group) in enumerate(zip(architecture.experts, architecture.groups, strict=True))
    ]
    return RoutedExperts(router, experts, architecture)


def check_partitioned(architecture: Partitioned, classes: int) -> None:
    """Checks the conditions that a partitioned network must meet besides those of its networks.

    Raises:
        UserError: the groups do not name every class once, or a torchvision classifier is in an unsupported role.
    """
    check_coverage(architecture.groups, classes)
    for number, (backbone, group) in enumerate(zip(architecture.experts, architecture.groups, strict=True)):
        if isinstance(backbone, Torchvision) and len(group) < 2:
            what = "a torchvision classifier needs at least two classes"
            raise UserError("unsupported-network", what, where=f"expert {number}", value=len(group))
    if isinstance(architecture.generalist, Torchvision):
        # Its own final head would be after the candidate's exits.
        where, allowed = "generalist", "resnet, vgg, alexnet or googlenet"
        raise UserError(
            "unsupported-network", "a torchvision classifier cannot be the generalist", where=where, allowed=allowed
        )


def check_coverage(groups: Sequence[Sequence[int]], classes: int) -> None:
    """Checks that the groups contain each of `classes` class numbers once.

    Raises:
        UserError: a number is missing, repeated or out of range.
    """
    named = Counter(number for group in groups for number in group)
    wrong = {
        "out of range": [number for number in named if not 0 <= number < classes],
        "in more than one group": [number for number, times in named.items() if times > 1],
        "in no group": [number for number in range(classes) if number not in named],
    }
    for what, numbers in wrong.items():
        if numbers:
            once = f"every class number from 0 to {classes - 1}, once"
            raise UserError(
                "invalid-partition",
                f"class numbers {what}",
                where="partition",
                value=sorted(numbers),
                allowed=once,
            )


def _classifier(backbone: Backbone, images: ImageSpec, classes: int, where: str) -> Classifier:
    if not isinstance(backbone, Torchvision):
        stages = stages_of(backbone, images)
        make_head = plan_head(Head(), stages[-1], classes, where=where)
        return Classifier([stage.make() for stage in stages], make_head())
    # The last stage returns logits.
    stages = stages_of(backbone, replace(images, classes=classes))
    return Classifier([stage.make() for stage in stages], nn.Identity())
