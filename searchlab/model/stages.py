"""Builds the stages of a backbone from its noun."""

from collections.abc import Callable
from typing import Any

from searchlab.architecture import Backbone, ImageSpec
from searchlab.model.backbones.alexnet import alexnet_stages
from searchlab.model.backbones.googlenet import googlenet_stages
from searchlab.model.backbones.resnet import resnet_stages
from searchlab.model.backbones.torchvision import torchvision_stages
from searchlab.model.backbones.vgg import vgg_stages
from searchlab.model.blocks import Stage

BACKBONES: dict[str, Callable[[Any, ImageSpec], list[Stage]]] = {
    "resnet": resnet_stages,
    "vgg": vgg_stages,
    "alexnet": alexnet_stages,
    "googlenet": googlenet_stages,
    "torchvision": torchvision_stages,
}
"""Kind of backbone to the function that builds its stages."""


def stages_of(backbone: Backbone, images: ImageSpec) -> list[Stage]:
    """Returns the stages of a backbone, in their order. Making them in this order initialises the network.

    Raises:
        UserError: the backbone cannot be built for images of this size.
    """
    return BACKBONES[backbone.kind](backbone, images)
