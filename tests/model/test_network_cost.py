"""Counts on the meta device against paper 004, and against the built network counted by others' code."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from property_tests import examples
from raises import raises_code
from small_candidates import IMAGES, candidates
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from searchlab.architecture import ImageSpec, ResNet
from searchlab.candidate import Candidate, Exit, Head
from searchlab.model import cost as cost_module
from searchlab.model.cost import network_cost, parameter_count
from searchlab.model.early_exit import build

CIFAR10 = ImageSpec(3, 32, 32, 10)


@pytest.mark.parametrize(
    ("name", "architecture", "params"),
    [
        ("I", ResNet((1, 2, 3, 1), 64, first_kernel=1), 4_971_338),
        ("II(a)", ResNet((3, 5, 3), 64), 4_918_602),
        ("II(b)", ResNet((2, 2, 2), 64, first_kernel=5), 4_874_826),
        ("III(a)", ResNet((3, 3, 5, 3), 32), 4_957_098),
        ("III(b)", ResNet((2, 2, 2, 2), 32, first_kernel=5), 4_894_762),
        ("IV", ResNet((2, 3, 4, 2), 16, first_kernel=7, second_kernel=7, skip_kernel=5), 4_914_842),
        ("ResNet18", ResNet((2, 2, 2, 2), 64), 11_173_962),
    ],
)
def test_the_networks_of_paper_004_have_its_parameters(name, architecture, params):
    assert network_cost(Candidate(architecture), CIFAR10).params == params


def test_resnet18_has_the_macs_that_are_known_of_it():
    """0.56 GMAC for 32 x 32 images (the figure of pytorch-cifar's profilers), by hand: every convolution's sum."""
    by_hand = 3 * 64 * 9 * 32**2 + 4 * 64 * 64 * 9 * 32**2
    for width, side in ((128, 16), (256, 8), (512, 4)):
        first = (width // 2 * width * 9 + width // 2 * width) * side**2
        by_hand += first + 3 * width * width * 9 * side**2
    assert network_cost(Candidate(ResNet((2, 2, 2, 2), 64)), CIFAR10).macs == by_hand + 512 * 10


@pytest.mark.slow
@examples(40)
@given(candidates(), IMAGES)
def test_every_part_costs_what_the_built_one_has_and_does(candidate, images):
    cost, network = network_cost(candidate, images), build(candidate, images).eval()
    map_NCHW, maps = torch.zeros(1, images.channels, images.height, images.width), []
    for stage, counted in zip(network.stages, cost.stages, strict=True):
        macs, map_NCHW = counted_macs(stage, map_NCHW)
        assert (counted.params, counted.macs) == (parameter_count(stage), macs)
        maps.append(map_NCHW)
    for head, cut, counted in zip(network.heads, cost.cuts, cost.heads, strict=True):
        macs, _ = counted_macs(head, maps[cut])
        assert (counted.params, counted.macs) == (parameter_count(head), macs)
    assert cost.params == sum(parameter.numel() for parameter in network.parameters())
    assert cost.macs == counted_macs(network, torch.zeros(1, images.channels, images.height, images.width))[0]


def counted_macs(module: nn.Module, inputs: torch.Tensor) -> tuple[int, torch.Tensor]:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        output = module(inputs)
    return counter.get_total_flops() // 2, output


def test_parts_are_named_after_stages_and_cuts():
    cost = network_cost(Candidate(ResNet((1, 2), 4), (Exit(0), Exit(2))), CIFAR10)
    assert [part.name for part in cost.stages] == ["stem", "layer1.block1", "layer2.block1", "layer2.block2"]
    assert [part.name for part in cost.heads] == ["exit 0", "exit 2", "final"]
    assert cost.cuts == (0, 2, 3)


def test_counting_draws_no_random_numbers():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    network_cost.cache_clear()
    network_cost(Candidate(ResNet((1, 1), 5)), CIFAR10)
    assert torch.rand(1) == expected


def test_equal_parts_of_networks_are_counted_once(monkeypatch):
    counted, count = Counter(), cost_module._counted
    monkeypatch.setattr(cost_module, "_counted", lambda make, shape: counted.update([shape]) or count(make, shape))
    for cached in (network_cost, cost_module._known_part_cost):
        cached.cache_clear()
    for blocks in ((3, 3), (3, 2), (1, 3)):
        network_cost(Candidate(ResNet(blocks, 8), (Exit(1),)), CIFAR10)
    # The stem; a block of each width, and the one between; the heads after 8 and after 16 channels.
    assert counted == {(1, 3, 32, 32): 1, (1, 8, 32, 32): 3, (1, 16, 16, 16): 2}


def test_a_candidate_that_cannot_be_built_is_a_user_error():
    with raises_code("pooling-too-large", where="final head", value=17):
        network_cost(Candidate(ResNet((1, 1), 4), final=Head(pool=17)), CIFAR10)
