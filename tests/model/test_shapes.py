"""Networks without values: nothing is initialised, nothing leaks to other threads or to what follows."""

import threading

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from searchlab.architecture import VGG, ImageSpec, ResNet
from searchlab.candidate import Candidate, Exit, Gate, Head
from searchlab.model.early_exit import build
from searchlab.model.shapes import INITIALISATIONS, shapes_by_rule, without_values

IMAGES = ImageSpec(3, 17, 9, 7)
EXIT = Exit(1, Head(pool=2, hidden=(5,), batch_norm=True, dropout=0.1), gate=Gate())


class Called(TorchFunctionMode):
    """Notes which functions of torch are called."""

    def __init__(self):
        super().__init__()
        self.functions = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.functions.add(func)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("backbone", [ResNet((1, 1), 4), VGG((1, 1), 3)])
def test_a_network_without_values_is_built_without_initialising_it(backbone):
    """Initialisation was a quarter of the time of building a network that is only counted."""
    with Called() as called, without_values():
        network = build(Candidate(backbone, (Exit(0, gate=Gate()),)), IMAGES)
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}
    assert called.functions and not called.functions & set(INITIALISATIONS)


def test_what_another_thread_builds_meanwhile_is_initialised():
    made = []
    with without_values():
        thread = threading.Thread(target=lambda: made.append(nn.BatchNorm2d(3)))
        thread.start()
        thread.join()
    assert torch.equal(made[0].weight, torch.ones(3))


def test_after_an_error_networks_have_values_again():
    with pytest.raises(ZeroDivisionError), without_values():
        _ = 1 / 0
    assert torch.equal(nn.BatchNorm2d(3).weight, torch.ones(3))


@pytest.mark.parametrize("block", ["basic", "bottleneck", "preactivation"])
def test_shapes_by_rule_are_those_that_torch_computes(block):
    candidate = Candidate(ResNet((2, 2), 4, block=block, stem_stride=2, stem_pool=True), (EXIT,), Head(reduce=3))
    images_NCHW = torch.empty(2, 3, 17, 9)
    network = build(candidate, IMAGES).eval()
    expected = [*network.maps(images_NCHW), *[head(map) for head, map in heads_of(network, images_NCHW)]]
    with shapes_by_rule(network):
        found = [*network.maps(images_NCHW), *[head(map) for head, map in heads_of(network, images_NCHW)]]
    assert [each.shape for each in found] == [each.shape for each in expected]


def heads_of(network, images_NCHW):
    return zip(network.heads, network.maps(images_NCHW), strict=True)


def test_no_product_is_computed_where_shapes_are_by_rule():
    network = build(Candidate(ResNet((1, 1), 4), (EXIT,)), IMAGES)
    images_NCHW = torch.empty(2, 3, 17, 9)
    with Called() as called, shapes_by_rule(network):
        network(images_NCHW)
    assert not called.functions & {torch.conv2d, nn.functional.linear, nn.functional.relu, torch.Tensor.add}
