"""Networks with exits against the plainest way to run them."""

import pytest
import torch
from hypothesis import given
from property_tests import examples
from raises import raises_code
from small_candidates import IMAGES, candidates
from torch import nn

from searchlab.architecture import ImageSpec, ResNet
from searchlab.candidate import Candidate, Exit, Head
from searchlab.model.backbones.resnet import layer_widths
from searchlab.model.blocks import BasicBlock
from searchlab.model.early_exit import build
from searchlab.model.stages import stages_of

DIGITS = ImageSpec(1, 8, 8, 10)


@pytest.mark.slow
@examples(25)
@given(candidates(), IMAGES)
def test_logits_are_those_of_running_each_exit_alone(candidate, images):
    network = build(candidate, images).eval()
    images_NCHW = torch.randn(2, images.channels, images.height, images.width)
    with torch.no_grad():
        logits_NKC = network(images_NCHW)
        alone = [
            alone_to(network, cut, head, images_NCHW) for cut, head in zip(candidate.cuts, network.heads, strict=True)
        ]
    assert logits_NKC.shape == (2, len(candidate.exits) + 1, images.classes)
    torch.testing.assert_close(logits_NKC, torch.stack(alone, dim=1), rtol=0, atol=0)


def alone_to(network, cut, head, images_NCHW):
    """The backbone's first stages run as one, then the head."""
    return head(nn.Sequential(*list(network.stages)[: cut + 1])(images_NCHW))


def test_the_same_seed_gives_the_same_network():
    candidate = Candidate(ResNet((1, 1), 8), (Exit(0), Exit(1, Head(2, (16,)))))
    made = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        made.append(build(candidate, DIGITS).state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert any(not torch.equal(made[0][name], made[2][name]) for name in made[0])


def test_layers_grow_by_a_factor_and_halve_the_map():
    assert layer_widths(ResNet((1, 1, 1), 10, growth=1.25)) == [10, 12, 16]
    stages = stages_of(ResNet((1, 1, 2), 4, stem_stride=2), ImageSpec(3, 31, 32, 10))
    assert [(stage.channels, stage.height, stage.width) for stage in stages] == [
        (4, 16, 16),
        (4, 16, 16),
        (8, 8, 8),
        (16, 4, 4),
        (16, 4, 4),
    ]


def test_a_block_adds_what_it_skips():
    block = BasicBlock(4, 4, stride=1, kernels=(3, 5, 1)).eval()
    map_NCHW = torch.randn(2, 4, 6, 6)
    assert isinstance(block.skip, nn.Identity)
    nn.init.zeros_(block.second[1].weight)
    with torch.no_grad():
        assert torch.equal(block(map_NCHW), map_NCHW.relu())


@pytest.mark.parametrize(("channels_out", "stride"), [(8, 1), (4, 2)])
def test_the_skip_is_a_convolution_where_shapes_differ(channels_out, stride):
    block = BasicBlock(4, channels_out, stride, kernels=(1, 3, 5))
    kernels = [block.first[0].kernel_size, block.second[0].kernel_size, block.skip[0].kernel_size]
    assert kernels == [(1, 1), (3, 3), (5, 5)]
    assert block(torch.randn(2, 4, 6, 6)).shape == (2, channels_out, 6 // stride, 6 // stride)


def test_a_head_pools_then_drops_out_after_every_hidden_layer():
    candidate = Candidate(ResNet((1, 1), 8), (Exit(1, Head(2, (16, 12), 0.5)),))
    head = build(candidate, DIGITS).heads[0]
    hidden = ["Linear", "ReLU", "Dropout"]
    assert [type(layer).__name__ for layer in head] == ["AdaptiveAvgPool2d", "Flatten", *hidden, *hidden, "Linear"]
    linear = [(layer.in_features, layer.out_features) for layer in head if isinstance(layer, nn.Linear)]
    assert linear == [(8 * 2 * 2, 16), (16, 12), (12, 10)]
    assert head[0].output_size == 2
    assert [layer.p for layer in head if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


def test_a_head_may_reduce_channels_and_normalise():
    head = build(
        Candidate(ResNet((1, 1), 8), (Exit(1, Head(2, (16,), 0.5, batch_norm=True, reduce=4)),)), DIGITS
    ).heads[0]
    names = [type(layer).__name__ for layer in head]
    reduced, hidden = ["Conv2d", "BatchNorm2d", "ReLU"], ["Linear", "BatchNorm1d", "ReLU", "Dropout"]
    assert names == ["AdaptiveAvgPool2d", *reduced, "Flatten", *hidden, "Linear"]
    assert (head[1].in_channels, head[1].out_channels, head[5].in_features) == (8, 4, 4 * 2 * 2)


def test_dropout_without_hidden_layers_comes_before_the_logits():
    head = build(Candidate(ResNet((1, 1), 8), (Exit(1, Head(dropout=0.3)),)), DIGITS).heads[0]
    assert [type(layer).__name__ for layer in head] == ["AdaptiveAvgPool2d", "Flatten", "Dropout", "Linear"]


def test_a_plain_head_is_pooling_and_one_layer():
    head = build(Candidate(ResNet((1, 1), 8)), DIGITS).heads[0].eval()
    map_NCHW = torch.randn(3, 16, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(head(map_NCHW), head[-1](map_NCHW.mean(dim=(2, 3))))


@pytest.mark.parametrize(
    ("candidate", "refused"),
    [
        (
            Candidate(ResNet((1, 1, 1), 4), (Exit(2, Head(pool=5)),)),
            raises_code("pooling-too-large", where="exit at cut 2", value=5),
        ),
        (
            Candidate(ResNet((1, 1, 1), 4), final=Head(pool=3)),
            raises_code("pooling-too-large", where="final head", value=3),
        ),
    ],
)
def test_pooling_larger_than_the_map_is_the_users_mistake(candidate, refused):
    with refused as caught:
        build(candidate, DIGITS)
    assert "the map after layer" in caught.value.allowed
