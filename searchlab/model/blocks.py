"""Pieces that backbones are made of.

Shape suffixes: N images, C channels, H and W pixels.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Stage:
    """The smallest piece of a backbone that runs as a whole, and the shape of the map it leaves behind."""

    name: str
    module: nn.Module
    channels: int
    height: int
    width: int


def conv_bn(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution without bias that keeps the map (or divides it by `stride`), and its batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
    )


class BasicBlock(nn.Module):
    """Two convolutions and a skip connection (He et al. 2016, figure 2), after which comes the ReLU.

    The skip is the identity where shapes match, else a convolution of `kernels[2]`.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, kernels: tuple[int, int, int]) -> None:
        super().__init__()
        first, second, skip = kernels
        self.first = conv_bn(channels_in, channels_out, first, stride)
        self.second = conv_bn(channels_out, channels_out, second)
        same = stride == 1 and channels_in == channels_out
        self.skip: nn.Module = nn.Identity() if same else conv_bn(channels_in, channels_out, skip, stride)

    def forward(self, map_NCHW: torch.Tensor) -> torch.Tensor:
        """map_NCHW to map_NCHW."""
        residual_NCHW = self.second(F.relu(self.first(map_NCHW), inplace=True))
        return F.relu(residual_NCHW + self.skip(map_NCHW), inplace=True)
