"""Building blocks of backbones.

Shape suffixes: N images, C channels, H and W pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from searchlab.architecture import ImageSpec
from searchlab.errors import UserError

Kernels = tuple[int, int, int]
"""Kernel sizes of a block's first and second convolution, and of its projection."""


Make = Callable[[], nn.Module]
"""Makes a module, initialised from torch's global generator."""


@dataclass(frozen=True)
class Stage:
    """A stage: the smallest piece of a backbone that runs as a whole, with the shape of its output map.

    `make` is best a `functools.partial` of hashable arguments: equal ones cost the same, which is then counted once
    (`model.cost`).
    """

    name: str
    make: Make
    channels: int
    height: int
    width: int


def conv(channels_in: int, channels_out: int, kernel: int, stride: int = 1, *, bias: bool = False) -> nn.Conv2d:
    """Makes a convolution that keeps the map's size, or divides it by `stride`, rounded up (`halved`)."""
    return nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=bias)


def conv_bn(
    channels_in: int, channels_out: int, kernel: int, stride: int = 1, *, epsilon: float = 1e-5
) -> nn.Sequential:
    """Makes a convolution without bias (see `conv`), followed by batch normalisation."""
    return nn.Sequential(conv(channels_in, channels_out, kernel, stride), nn.BatchNorm2d(channels_out, epsilon))


def bn_relu(channels: int) -> nn.Sequential:
    """Makes batch normalisation and ReLU, which precede a convolution in a preactivation block."""
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def halved(size: int, stride: int = 2) -> int:
    """Returns the side of a map after a stride: of `conv`, or of a 2x2 pooling with ceil_mode."""
    return (size + stride - 1) // stride


def check_size(backbone: str, images: ImageSpec, least: tuple[int, int]) -> None:
    """Raises UserError if images are smaller than a backbone's least height and width."""
    if images.height < least[0] or images.width < least[1]:
        raise UserError(
            "unsupported-images",
            f"images are too small for {backbone}",
            where="architecture",
            value=f"{images.height} x {images.width}",
            allowed=f"at least {least[0]} x {least[1]}",
        )


class BasicBlock(nn.Module):
    """Two convolutions and a skip connection, then ReLU (He et al. 2016, figure 2).

    The skip is the identity where shapes match, else a convolution of `kernels[2]`.
    """

    expansion: ClassVar[int] = 1
    """Output channels of a block as a multiple of its width."""
    preactivated: ClassVar[bool] = False

    def __init__(self, channels_in: int, width: int, stride: int, kernels: Kernels) -> None:
        super().__init__()
        first, second, skip = kernels
        self.first = conv_bn(channels_in, width, first, stride)
        self.second = conv_bn(width, width, second)
        self.skip = _skip(channels_in, width, stride, skip)

    def forward(self, map_NCHW: torch.Tensor) -> torch.Tensor:
        """map_NCHW to map_NCHW."""
        residual_NCHW = self.second(F.relu(self.first(map_NCHW), inplace=True))
        return F.relu(residual_NCHW + self.skip(map_NCHW), inplace=True)


class Bottleneck(nn.Module):
    """Convolutions of 1x1, `kernels[1]` and 1x1 to four times the width, and a skip (He et al. 2016, figure 5).

    The stride is that of the convolution in the middle, as torchvision has it ("ResNet v1.5").
    """

    expansion: ClassVar[int] = 4
    preactivated: ClassVar[bool] = False

    def __init__(self, channels_in: int, width: int, stride: int, kernels: Kernels) -> None:
        super().__init__()
        _, middle, skip = kernels
        self.first = conv_bn(channels_in, width, 1)
        self.second = conv_bn(width, width, middle, stride)
        self.third = conv_bn(width, width * self.expansion, 1)
        self.skip = _skip(channels_in, width * self.expansion, stride, skip)

    def forward(self, map_NCHW: torch.Tensor) -> torch.Tensor:
        """map_NCHW to map_NCHW."""
        inner_NCHW = F.relu(self.first(map_NCHW), inplace=True)
        inner_NCHW = F.relu(self.second(inner_NCHW), inplace=True)
        return F.relu(self.third(inner_NCHW) + self.skip(map_NCHW), inplace=True)


class PreactivationBlock(nn.Module):
    """Normalisation, ReLU and convolution, twice (He et al. 2016, "Identity mappings", figure 4e).

    If shapes differ, the skip is a convolution of the output of the first normalisation and ReLU.
    """

    expansion: ClassVar[int] = 1
    preactivated: ClassVar[bool] = True

    def __init__(self, channels_in: int, width: int, stride: int, kernels: Kernels) -> None:
        super().__init__()
        first, second, skip = kernels
        self.activation = bn_relu(channels_in)
        self.residual = nn.Sequential(
            conv(channels_in, width, first, stride), *bn_relu(width), conv(width, width, second)
        )
        self.skip = None if stride == 1 and channels_in == width else conv(channels_in, width, skip, stride)

    def forward(self, map_NCHW: torch.Tensor) -> torch.Tensor:
        """map_NCHW to map_NCHW."""
        active_NCHW = self.activation(map_NCHW)
        skip_NCHW = map_NCHW if self.skip is None else self.skip(active_NCHW)
        return torch.add(self.residual(active_NCHW), skip_NCHW)


def _skip(channels_in: int, channels_out: int, stride: int, kernel: int) -> nn.Module:
    same = stride == 1 and channels_in == channels_out
    return nn.Identity() if same else conv_bn(channels_in, channels_out, kernel, stride)
