"""The contract of every backbone, and what is particular to each family."""

import copy
from dataclasses import replace
from typing import get_args

import pytest
import torch
from raises import raises_code
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from searchlab.architecture import VGG, AlexNet, Backbone, GoogLeNet, ImageSpec, ResNet, Torchvision
from searchlab.candidate import Candidate, Exit, Gate, Head
from searchlab.limits import Limits
from searchlab.model.backbones.googlenet import LEAST_SIDE
from searchlab.model.backbones.resnet import BLOCKS, layer_widths
from searchlab.model.blocks import BasicBlock, Bottleneck, PreactivationBlock
from searchlab.model.cost import network_cost, parameter_count
from searchlab.model.early_exit import build
from searchlab.model.fit import fit
from searchlab.model.stages import BACKBONES, stages_of

DIGITS = ImageSpec(1, 8, 8, 10)
ALL_IMAGES = [DIGITS, ImageSpec(1, 28, 28, 10), ImageSpec(3, 32, 32, 100), ImageSpec(3, 7, 12, 2)]
RESNET = ResNet((1, 2, 1), 6, first_kernel=5, skip_kernel=3, stem_stride=2)
TRIED = {
    "basic": RESNET,
    "bottleneck": replace(RESNET, block="bottleneck", stem_stride=1),
    "preactivation": replace(RESNET, block="preactivation"),
    "vgg16": VGG((2, 2, 3, 3, 3), 4),
    "vgg": VGG((1, 2), 3, batch_norm=False),
    "alexnet": AlexNet(4),
    "googlenet": GoogLeNet(8),
    "googlenet variant": GoogLeNet(5, large_kernel=3, residual=True),
    "torchvision": Torchvision("shufflenet_v2_x0_5", ("maxpool", "stage2")),
}
"""Every kind of backbone, and every block."""


@pytest.mark.parametrize("images", ALL_IMAGES, ids=str)
@pytest.mark.parametrize("backbone", TRIED.values(), ids=TRIED)
def test_backbones_tell_the_truth_about_their_stages(backbone, images):
    stages = stages_of(backbone, images)
    assert len(stages) == backbone.stages
    assert len({stage.name for stage in stages}) == len(stages)
    map_NCHW = torch.randn(2, images.channels, images.height, images.width)
    for stage in stages:
        map_NCHW = stage.make()(map_NCHW)
        is_logits = isinstance(backbone, Torchvision) and stage is stages[-1]
        expected = (stage.channels,) if is_logits else (stage.channels, stage.height, stage.width)
        assert map_NCHW.shape == (2, *expected)
        assert all(parameter.requires_grad for parameter in stage.make().parameters())


def test_every_backbone_and_every_block_is_tried_above():
    union, _ = get_args(Backbone)
    assert {kind.kind for kind in get_args(union)} == set(BACKBONES) == {tried.kind for tried in TRIED.values()}
    assert {tried.block for tried in TRIED.values() if tried.kind == "resnet"} == set(BLOCKS)


@pytest.mark.parametrize("backbone", TRIED.values(), ids=TRIED)
def test_a_stage_leaves_the_map_it_is_given_as_it_was(backbone):
    """An exit reads the map of its cut after all stages have run."""
    images_NCHW = torch.randn(2, 3, 32, 32)
    maps, copies = [images_NCHW], [images_NCHW.clone()]
    for stage in stages_of(backbone, ImageSpec(3, 32, 32, 10)):
        maps.append(stage.make()(maps[-1]))
        copies.append(maps[-1].clone())
    assert all(torch.equal(now, then) for now, then in zip(maps, copies, strict=True))


@pytest.mark.parametrize("images", [ImageSpec(3, 32, 32, 10), ImageSpec(1, 17, 21, 3)], ids=str)
@pytest.mark.parametrize("backbone", TRIED.values(), ids=TRIED)
def test_costs_are_those_of_the_built_network(backbone, images):
    candidate = Candidate(backbone, (Exit(1, Head(hidden=(9,)), gate=Gate()),), Head(batch_norm=True, hidden=(7,)))
    cost, network = network_cost(candidate, images), build(candidate, images).eval()
    assert cost.params == parameter_count(network)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        maps = network.maps(torch.zeros(1, images.channels, images.height, images.width))
        network.logits(maps)
        network.gate_logits(maps)
    assert cost.macs == counter.get_total_flops() // 2


@pytest.mark.parametrize("backbone", TRIED.values(), ids=TRIED)
def test_every_parameter_learns_and_a_copy_is_equal(backbone):
    torch.manual_seed(0)
    network = build(Candidate(backbone, (Exit(1),)), ImageSpec(3, 32, 32, 10))
    logits_NKC = network(torch.randn(4, 3, 32, 32))
    assert logits_NKC.shape == (4, 2, 10)
    logits_NKC.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    copied, images_NCHW = copy.deepcopy(network).eval(), torch.randn(2, 3, 32, 32)
    assert torch.equal(network.eval()(images_NCHW), copied(images_NCHW))


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck, PreactivationBlock])
@pytest.mark.parametrize(("channels_in", "stride"), [(8, 1), (8, 2), (5, 1)])
def test_blocks_have_a_projection_only_where_shapes_differ(block, channels_in, stride):
    width = 8 // block.expansion
    made = block(channels_in, width, stride, (5, 3, 1))
    map_NCHW = torch.randn(2, channels_in, 6, 6)
    assert made(map_NCHW).shape == (2, 8, 6 // stride, 6 // stride)
    same = channels_in == 8 and stride == 1
    assert (made.skip is None or isinstance(made.skip, nn.Identity)) == same


def test_a_bottleneck_has_its_stride_and_kernel_in_the_middle():
    made = Bottleneck(8, 4, 2, (3, 5, 1))
    convolutions = [layer for layer in made.modules() if isinstance(layer, nn.Conv2d)]
    assert [(c.kernel_size[0], c.stride[0], c.out_channels) for c in convolutions] == [
        (1, 1, 4),
        (5, 2, 4),
        (1, 1, 16),
        (1, 2, 16),
    ]


def test_a_preactivation_block_projects_what_was_activated():
    """He et al. 2016b: with a residual branch of zeros, the skip alone is left."""
    same, other = (PreactivationBlock(4, width, 1, (3, 3, 1)).eval() for width in (4, 6))
    map_NCHW = torch.randn(2, 4, 5, 5)
    for block in (same, other):
        nn.init.zeros_(block.residual[-1].weight)
    with torch.no_grad():
        assert torch.equal(same(map_NCHW), map_NCHW)
        torch.testing.assert_close(other(map_NCHW), other.skip(other.activation(map_NCHW)))


def test_widths_of_a_bottleneck_are_the_inner_ones():
    assert layer_widths(ResNet((1, 1, 1), 10, growth=1.25)) == [10, 12, 16]
    stages = stages_of(ResNet((1, 1), 8, block="bottleneck"), DIGITS)
    assert [stage.channels for stage in stages] == [8, 32, 64]


def test_googlenet_adds_its_input_where_shapes_match():
    plain, residual = (stages_of(GoogLeNet(64, residual=adds), DIGITS) for adds in (False, True))
    adds = {
        stage.name for stage in residual for module in stage.make().modules() if getattr(module, "adds_input", False)
    }
    assert adds == {"4b", "4c", "5a"}
    for one, other in zip(plain, residual, strict=True):
        module, with_input = one.make().eval(), other.make().eval()
        with_input.load_state_dict(module.state_dict())
        map_NCHW = torch.randn(2, next(module.parameters()).shape[1], 4, 4)
        with torch.no_grad():
            added = with_input(map_NCHW) - module(map_NCHW)
        expected = map_NCHW if one.name in adds else torch.zeros(())
        torch.testing.assert_close(added, expected.expand_as(added), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stem", LEAST_SIDE)
def test_the_least_image_of_googlenet_is_the_least(stem):
    backbone, side = GoogLeNet(4, stem=stem), LEAST_SIDE[stem]
    map_NCHW = torch.randn(2, 1, side, side)
    for stage in stages_of(backbone, ImageSpec(1, side, side, 2)):
        map_NCHW = stage.make().eval()(map_NCHW)
    assert map_NCHW.shape[2:] == (1, 1)
    least = ["GoogLeNet", stem, f"{side} x {side}"]
    with raises_code("unsupported-images", value=f"{side - 1} x 40", mentions=least):
        stages_of(backbone, ImageSpec(1, side - 1, 40, 2))


@pytest.mark.parametrize("backbone", [VGG(width=8), AlexNet(8), GoogLeNet(8), ResNet((1, 1), 8)], ids=lambda b: b.kind)
def test_every_family_with_a_width_is_fitted_under_a_cap(backbone):
    images, cap = ImageSpec(3, 32, 32, 10), 200_000
    fitted = fit(Candidate(backbone), images, Limits(cap))
    wider = replace(fitted, architecture=replace(fitted.architecture, width=fitted.architecture.width + 1))
    assert network_cost(fitted, images).params <= cap < network_cost(wider, images).params


def test_a_network_without_a_width_is_fitted_to_no_cap():
    candidate, images = Candidate(Torchvision("resnet18")), ImageSpec(3, 32, 32, 10)
    assert fit(candidate, images, Limits()) == candidate
    with raises_code("unsupported-network", where="architecture", value="torchvision"):
        fit(candidate, images, Limits(1_000_000))
