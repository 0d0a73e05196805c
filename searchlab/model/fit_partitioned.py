"""The widest router, experts and generalist that hold a cap together."""

import math
from dataclasses import replace

from searchlab.architecture import VGG, AlexNet, Backbone, GoogLeNet, ImageSpec, Partitioned, ResNet, Torchvision
from searchlab.candidate import Candidate
from searchlab.errors import UserError
from searchlab.model.cost import network_cost


def fit_partitioned(
    candidate: Candidate, images: ImageSpec, max_params: int | None = None, max_macs: int | None = None
) -> Candidate:
    """All widths times the largest common factor with which the sum of all networks holds the limits.

    The factor is that which brings the widest network to a whole width; the others are rounded down, to 1 at least.
    Without limits the candidate comes back as it is; where not even width 1 fits, with width 1 everywhere.

    Raises:
        UserError: there are limits, and a network has no width to fit.
    """
    if max_params is None and max_macs is None:
        return candidate

    def room(width: int) -> float:
        """By what factor the tightest limit could be shared out more: at least 1 where all limits hold."""
        cost = network_cost(_scaled(candidate, width), images)
        return min((max_params or math.inf) / cost.params, (max_macs or math.inf) / cost.macs)

    # As in `model.cost.fit`: costs grow about with the square of the width.
    width = 16
    for _ in range(3):
        width = max(1, int(width * room(width) ** 0.5))
    while room(width + 1) >= 1:
        width += 1
    while width > 1 and room(width) < 1:
        width -= 1
    return _scaled(candidate, width)


def _scaled(candidate: Candidate, width: int) -> Candidate:
    """The widest network with this width, the others as much wider or narrower."""
    architecture = _partitioned(candidate)
    router, experts, generalist = architecture.router, architecture.experts, architecture.generalist
    widest = max(_with_width(part).width for part in (router, *experts, *([generalist] if generalist else [])))

    def scaled(part: Backbone) -> Backbone:
        part = _with_width(part)
        return replace(part, width=max(1, part.width * width // widest))

    architecture = replace(
        architecture,
        router=scaled(router),
        experts=tuple(scaled(expert) for expert in experts),
        generalist=scaled(generalist) if generalist else None,
    )
    return replace(candidate, architecture=architecture)


def _with_width(part: Backbone) -> ResNet | VGG | AlexNet | GoogLeNet:
    if isinstance(part, Torchvision):
        what, allowed = "has no base width to fit to the limits", "resnet, vgg, alexnet and googlenet have one"
        raise UserError(what, where="partition", value=part.model, allowed=allowed)
    return part


def _partitioned(candidate: Candidate) -> Partitioned:
    assert isinstance(candidate.architecture, Partitioned)
    return candidate.architecture
