"""Residual networks of any layers, blocks, widths and kernels (paper 004, section 3), with three kinds of block."""

from functools import partial

from torch import nn

from searchlab.architecture import ImageSpec, ResNet
from searchlab.model.blocks import (
    BasicBlock,
    Bottleneck,
    PreactivationBlock,
    Stage,
    bn_relu,
    conv,
    conv_bn,
    halved,
)

Block = type[BasicBlock] | type[Bottleneck] | type[PreactivationBlock]

BLOCKS: dict[str, Block] = {"basic": BasicBlock, "bottleneck": Bottleneck, "preactivation": PreactivationBlock}
"""Name of a block to its module, made with channels that come in, width, stride and kernels."""


def layer_widths(architecture: ResNet) -> list[int]:
    """Width of each layer's blocks: the base width times `growth` for every layer after the first, rounded."""
    return [round(architecture.width * architecture.growth**i) for i in range(len(architecture.blocks))]


def resnet_stages(architecture: ResNet, images: ImageSpec) -> list[Stage]:
    """The stem and every residual block. The first block of every layer but the first halves the map."""
    kernels = (architecture.first_kernel, architecture.second_kernel, architecture.skip_kernel)
    block, widths = BLOCKS[architecture.block], layer_widths(architecture)
    halving = architecture.stem_stride * (2 if architecture.stem_pool else 1)
    height, width = (halved(size, halving) for size in (images.height, images.width))
    shape = (images.channels, widths[0], architecture.stem_kernel, architecture.stem_stride)
    stem = partial(_stem, shape, bare=block.preactivated, pooled=architecture.stem_pool)
    stages = [Stage("stem", stem, widths[0], height, width)]
    for layer, (count, inner) in enumerate(zip(architecture.blocks, widths, strict=True)):
        for position in range(count):
            stride = 2 if layer > 0 and position == 0 else 1
            height, width = halved(height, stride), halved(width, stride)
            make = partial(block, stages[-1].channels, inner, stride, kernels)
            name = f"layer{layer + 1}.block{position + 1}"
            stages.append(Stage(name, make, inner * block.expansion, height, width))
    if block.preactivated:
        channels = stages[-1].channels
        stages.append(Stage("normalisation", partial(bn_relu, channels), channels, height, width))
    return stages


def _stem(shape: tuple[int, int, int, int], *, bare: bool, pooled: bool) -> nn.Module:
    """A bare convolution before blocks that begin with normalisation and ReLU, else one with both."""
    stem = [conv(*shape)] if bare else [*conv_bn(*shape), nn.ReLU(inplace=True)]
    return nn.Sequential(*stem, *([nn.MaxPool2d(3, 2, padding=1)] if pooled else []))
