"""AlexNet's five convolutions (Krizhevsky et al. 2012) with kernels and strides for images of 32x32 pixels."""

from functools import partial

from torch import nn

from searchlab.architecture import AlexNet, ImageSpec
from searchlab.model.blocks import Stage, conv, halved

LAYERS = ((1, True), (3, True), (6, False), (4, False), (4, True))
"""For every convolution: its channels, as a multiple of the base width, and whether pooling follows."""


def alexnet_stages(architecture: AlexNet, images: ImageSpec) -> list[Stage]:
    """Every convolution, the pooling with it. Pooling uses ceil_mode, so no image is too small."""
    stages: list[Stage] = []
    channels_in, height, width = images.channels, images.height, images.width
    for layer, (multiple, pooled) in enumerate(LAYERS):
        channels, stride = multiple * architecture.width, 1 if layer else 2
        make = partial(_convolution, channels_in, channels, stride, pooled=pooled)
        height, width = halved(height, stride), halved(width, stride)
        if pooled:
            height, width = halved(height), halved(width)
        stages.append(Stage(f"conv{layer + 1}", make, channels, height, width))
        channels_in = channels
    return stages


def _convolution(channels_in: int, channels: int, stride: int, *, pooled: bool) -> nn.Sequential:
    layers = [conv(channels_in, channels, 3, stride, bias=True), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2, ceil_mode=True)] if pooled else []))
