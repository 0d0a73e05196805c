"""VGG: 3x3 convolutions in blocks (Simonyan and Zisserman 2015), in torchvision's layout."""

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
            layers = _convolution(channels_in, channels, batch_norm=architecture.batch_norm)
            if position == convolutions - 1:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
                height, width = halved(height), halved(width)
            name = f"block{block + 1}.conv{position + 1}"
            stages.append(Stage(name, nn.Sequential(*layers), channels, height, width))
            channels_in = channels
    return stages


def _convolution(channels_in: int, channels: int, *, batch_norm: bool) -> list[nn.Module]:
    convolution = conv(channels_in, channels, 3, bias=True)
    # As torchvision does: with torch's own initialisation, 19 layers without normalisation do not begin to learn.
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return [convolution, *([nn.BatchNorm2d(channels)] if batch_norm else []), nn.ReLU(inplace=True)]
