from typing import get_args

import pytest

from searchlab.architecture import VGG, AlexNet, Architecture, GoogLeNet, Partitioned, ResNet, Torchvision

SMALL = ResNet((2, 2), 8)

EXPECTED = {
    ResNet((2, 2, 3), 16): "resnet 2-2-3 of width 16",
    ResNet((3, 4, 6, 3), 64, block="bottleneck"): "bottleneck resnet 3-4-6-3 of width 64",
    ResNet((2, 3), 16, first_kernel=7, second_kernel=5): "resnet 2-3 of width 16, kernels 7 and 5, skips 1",
    VGG(): "vgg19-like 2-2-4-4-4 of width 64",
    VGG((2, 2, 3, 3, 3), width=16): "vgg16-like 2-2-3-3-3 of width 16",
    AlexNet(32): "alexnet of width 32",
    GoogLeNet(residual=True): "googlenet 5x5, residual",
    GoogLeNet(width=16, large_kernel=3): "googlenet of width 16 3x3",
    Torchvision("resnet50", ("layer1", "layer2")): "torchvision resnet50 cut after layer1, layer2",
    Torchvision("resnet50"): "torchvision resnet50",
    Partitioned(((0,), (1, 2)), ResNet((1,), 4), (SMALL, SMALL)): (
        "2 groups, hard: router resnet 1 of width 4 + 2 experts resnet 2-2 of width 8"
    ),
    Partitioned(((0,), (1, 2)), ResNet((1,), 4), (SMALL, AlexNet(8)), generalist=SMALL, routing="soft"): (
        "2 groups, soft: router resnet 1 of width 4 + experts resnet 2-2 of width 8; alexnet of width 8"
        " + generalist resnet 2-2 of width 8"
    ),
}


@pytest.mark.parametrize(("architecture", "words"), EXPECTED.items(), ids=lambda value: getattr(value, "kind", ""))
def test_words(architecture, words):
    assert architecture.described == words


@pytest.mark.parametrize("noun", get_args(get_args(Architecture)[0]), ids=lambda noun: noun.kind)
def test_every_architecture_can_be_described_and_says_how_many_stages_it_has(noun):
    assert all(isinstance(vars(noun)[name], property) for name in ("described", "stages"))
