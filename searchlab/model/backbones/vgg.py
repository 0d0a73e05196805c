"""VGG: 3x3 convolutions in blocks (Simonyan and Zisserman 2015), in torchvision's layout."""

from functools import partial

from torch import nn

from searchlab.architecture import VGG, ImageSpec
from searchlab.model.blocks import Stage, conv, halved

MOST = 8
"""Largest number of channels as a multiple of the base width."""


def vgg_stages(architecture: VGG, images: ImageSpec) -> list[Stage]:
    """Builds every convolution, with the pooling (ceil_mode, so that no image is too small) after each block."""
    stages: list[Stage] = []
    channels_in, height, width = images.channels, images.height, images.width
    for block, convolutions in enumerate(architecture.convolutions):
        channels = architecture.width * min(2**block, MOST)
        for position in range(convolutions):
            pooled = position == convolutions - 1
            if pooled:
                height, width = halved(height), halved(width)
            make = partial(_convolution, channels_in, channels, batch_norm=architecture.batch_norm, pooled=pooled)
            stages.append(Stage(f"block{block + 1}.conv{position + 1}", make, channels, height, width))
            channels_in = channels
    return stages


def _convolution(channels_in: int, channels: int, *, batch_norm: bool, pooled: bool) -> nn.Sequential:
    convolution = conv(channels_in, channels, 3, bias=True)
    # As torchvision does: with torch's own initialisation, 19 layers without normalisation do not begin to learn.
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    layers = [convolution, *([nn.BatchNorm2d(channels)] if batch_norm else []), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2, ceil_mode=True)] if pooled else []))
