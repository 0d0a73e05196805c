"""GoogLeNet with batch normalisation (Szegedy et al. 2015, table 1), in torchvision's layout, and paper 002's variants.

Shape suffixes: N images, C channels, H and W pixels.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from searchlab.architecture import GoogLeNet, ImageSpec
from searchlab.model.blocks import Stage, check_size, conv_bn, halved

Branches = tuple[int, int, int, int, int, int]
"""Channels of a module: 1x1; 1x1 and 3x3 in a row; 1x1 and the large convolution in a row; 1x1 after pooling."""

MODULES: dict[str, Branches] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""All inception modules, for a base width of `TABLE_WIDTH`."""

TABLE_WIDTH = 64
POOLED = {"3b": 3, "4e": 2}
"""Modules that are followed by pooling, with its kernel size; the stride is 2."""

LEAST_SIDE = {"small": 2, "large": 15}
"""Stem to the smallest image side with at least one pixel after all pooling."""


def googlenet_stages(architecture: GoogLeNet, images: ImageSpec) -> list[Stage]:
    """Builds the stem and every inception module, each with the pooling after it.

    Raises:
        UserError: the images are too small for the pooling layers.
    """
    least = LEAST_SIDE[architecture.stem]
    check_size(f"GoogLeNet with the {architecture.stem} stem", images, (least, least))
    channels, height, width = 3 * architecture.width, images.height, images.width
    if architecture.stem == "large":
        height, width = (_pooled(_pooled(halved(side), 3), 3) for side in (height, width))
    stem = partial(STEMS[architecture.stem], images.channels, architecture.width)
    stages = [Stage("stem", stem, channels, height, width)]
    for name, row in MODULES.items():
        one, before_three, three, before_large, large, after = (
            max(1, round(count * architecture.width / TABLE_WIDTH)) for count in row
        )
        branches = (one, before_three, three, before_large, large, after)
        kernel, pooled = architecture.large_kernel, POOLED.get(name)
        make = partial(_inception, channels, branches, kernel, residual=architecture.residual, pooled=pooled)
        if pooled:
            height, width = (_pooled(side, pooled) for side in (height, width))
        channels = _channels_of(branches)
        stages.append(Stage(name, make, channels, height, width))
    return stages


def _channels_of(branches: Branches) -> int:
    """Returns the channels of a module: what its four branches end in."""
    one, _, three, _, large, after_pooling = branches
    return one + three + large + after_pooling


class Inception(nn.Module):
    """Four branches side by side (figure 2b); with `residual` the input is added where it has the output's channels."""

    def __init__(self, channels_in: int, branches: Branches, large_kernel: int, *, residual: bool) -> None:
        super().__init__()
        one, before_three, three, before_large, large, after_pooling = branches
        self.branches = nn.ModuleList(
            (
                _convolution(channels_in, one, 1),
                nn.Sequential(_convolution(channels_in, before_three, 1), _convolution(before_three, three, 3)),
                nn.Sequential(
                    _convolution(channels_in, before_large, 1), _convolution(before_large, large, large_kernel)
                ),
                nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), _convolution(channels_in, after_pooling, 1)),
            )
        )
        self.adds_input = residual and _channels_of(branches) == channels_in

    def forward(self, map_NCHW: torch.Tensor) -> torch.Tensor:
        """map_NCHW to map_NCHW of the same height and width."""
        joined_NCHW = torch.cat([branch(map_NCHW) for branch in self.branches], dim=1)
        # No ReLU after the sum: both terms have passed one.
        return joined_NCHW + map_NCHW if self.adds_input else joined_NCHW


def _inception(
    channels_in: int, branches: Branches, large_kernel: int, *, residual: bool, pooled: int | None
) -> nn.Module:
    module = Inception(channels_in, branches, large_kernel, residual=residual)
    return nn.Sequential(module, _pooling(pooled)) if pooled else module


def _convolution(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(*conv_bn(channels_in, channels_out, kernel, stride, epsilon=1e-3), nn.ReLU(inplace=True))


def _small_stem(channels_in: int, width: int) -> nn.Sequential:
    return _convolution(channels_in, 3 * width, 3)


def _large_stem(channels_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        _convolution(channels_in, width, 7, stride=2),
        _pooling(3),
        _convolution(width, width, 1),
        _convolution(width, 3 * width, 3),
        _pooling(3),
    )


STEMS: dict[str, Callable[[int, int], nn.Sequential]] = {"small": _small_stem, "large": _large_stem}
"""Stem to its function of the images' channels and the base width; its output has three times that width."""


def _pooling(kernel: int) -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel, stride=2, ceil_mode=True)


def _pooled(side: int, kernel: int) -> int:
    """Returns the side of a map after `_pooling`."""
    return halved(side - kernel, 2) + 1
