"""Residual networks of any number of layers, blocks, widths and kernels (paper 004, section 3)."""

from torch import nn

from searchlab.candidate import ImageSpec, ResNet
from searchlab.model.blocks import BasicBlock, Stage, conv_bn


def layer_widths(architecture: ResNet) -> list[int]:
    """Channels of each layer: the base width times `growth` for every layer after the first, rounded."""
    return [round(architecture.width * architecture.growth**i) for i in range(len(architecture.blocks))]


def resnet_stages(architecture: ResNet, images: ImageSpec) -> list[Stage]:
    """The stem and every residual block. The first block of every layer but the first halves the map."""
    kernels = (architecture.first_kernel, architecture.second_kernel, architecture.skip_kernel)
    widths = layer_widths(architecture)
    height, width = (halved(size, architecture.stem_stride) for size in (images.height, images.width))
    stem = conv_bn(images.channels, widths[0], architecture.stem_kernel, architecture.stem_stride)
    stages = [Stage("stem", nn.Sequential(*stem, nn.ReLU(inplace=True)), widths[0], height, width)]
    for layer, (blocks, channels) in enumerate(zip(architecture.blocks, widths, strict=True)):
        for block in range(blocks):
            stride = 2 if layer > 0 and block == 0 else 1
            height, width = halved(height, stride), halved(width, stride)
            module = BasicBlock(stages[-1].channels, channels, stride, kernels)
            stages.append(Stage(f"layer{layer + 1}.block{block + 1}", module, channels, height, width))
    return stages


def halved(size: int, stride: int) -> int:
    """What a convolution that pads by half its kernel leaves of a side of `size` pixels."""
    return (size + stride - 1) // stride
