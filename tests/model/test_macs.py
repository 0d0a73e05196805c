"""The cap holds: what counts MACs knows every layer, and torch's own counter agrees."""

import itertools
from dataclasses import replace
from functools import partial

import pytest
import torch
from raises import raises_code
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from searchlab.architecture import VGG, AlexNet, GoogLeNet, ImageSpec, Partitioned, ResNet, Torchvision
from searchlab.candidate import Candidate, Exit, Gate, Head
from searchlab.model import stages as stages_module
from searchlab.model.blocks import Stage
from searchlab.model.cost import network_cost, parameter_count
from searchlab.model.early_exit import build
from searchlab.model.macs import check_countable
from searchlab.model.shapes import without_values
from searchlab.record import TrialRecord
from searchlab.search.spaces import check_limits
from searchlab.study import Study
from searchlab.trial import sized

IMAGES = ImageSpec(3, 32, 32, 7)
RESNET = ResNet((1, 2), 6, first_kernel=5, skip_kernel=3)
BACKBONES = {
    "basic": RESNET,
    "bottleneck": replace(RESNET, block="bottleneck"),
    "preactivation": replace(RESNET, block="preactivation"),
    "stem for large images": replace(RESNET, stem_kernel=7, stem_stride=2, stem_pool=True),
    "vgg": VGG((1, 2), 3),
    "vgg without normalisation": VGG((1, 2), 3, batch_norm=False),
    "alexnet": AlexNet(4),
    **{
        f"googlenet {kernel} {residual} {stem}": GoogLeNet(5, kernel, residual, stem)
        for kernel, residual, stem in itertools.product((3, 5), (False, True), ("small", "large"))
    },
}
HEADS = {
    "plain": Head(),
    "pooled": Head(pool=2),
    "hidden": Head(hidden=(9, 5), dropout=0.3),
    "normalised": Head(hidden=(9,), batch_norm=True),
    "reduced": Head(reduce=3, hidden=(4,)),
}


NOT_COUNTED = {F.batch_norm, F.layer_norm, F.relu, F.relu6, F.gelu, F.silu, F.hardswish, F.hardsigmoid, F.dropout}
"""Functions in which torch counts no operation, and which return the shape that they are given."""


class Unchanged(TorchFunctionMode):
    """Leaves these functions out: without values, they take most of the time."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return args[0] if func in NOT_COUNTED else func(*args, **(kwargs or {}))


def counted_by_torch(candidate, images=IMAGES):
    """MACs of one image through all stages, heads and gates, by torch's counter of floating point operations.

    It counts convolutions and matrix products, two operations for each multiply-accumulate, and nothing else.
    """
    with without_values():
        network = build(candidate, images).eval()
        image_NCHW = torch.empty(1, images.channels, images.height, images.width)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), Unchanged():
        maps = network.maps(image_NCHW)
        network.logits(maps)
        if len(network.gates):
            network.gate_logits(maps)
    assert counter.get_total_flops() % 2 == 0
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=BACKBONES)
def test_torchs_counter_agrees_on_every_backbone_with_gates(backbone):
    exits = tuple(Exit(cut, Head(), gate=Gate()) for cut in range(backbone.stages - 1))
    assert network_cost(Candidate(backbone, exits), IMAGES).macs == counted_by_torch(Candidate(backbone, exits)) > 0


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_torchs_counter_agrees_on_every_head(head):
    candidate = Candidate(RESNET, (Exit(1, head, gate=Gate(pool=2)),), head)
    assert network_cost(candidate, IMAGES).macs == counted_by_torch(candidate) > 0


def test_every_kind_of_backbone_and_block_is_tried_above():
    kinds = {backbone.kind for backbone in BACKBONES.values()} | {"torchvision"}
    assert kinds == set(stages_module.BACKBONES)


def test_torchs_counter_agrees_on_a_partition_whose_experts_all_run():
    """Under hard routing an expert counts for its share of the classes, which no single image shows."""
    groups = ((0, 3), (1,), (2, 4, 5, 6))
    partition = Partitioned(groups, RESNET, (RESNET, VGG((1,), 4), RESNET), GoogLeNet(5), "soft")
    candidate = Candidate(partition, (Exit(2),))
    assert network_cost(candidate, IMAGES).macs == counted_by_torch(candidate)


@pytest.mark.slow
@pytest.mark.parametrize("name", models.list_models(module=models))
def test_torchs_counter_agrees_on_every_classifier_of_torchvision(name):
    images, candidate = ImageSpec(3, *[342 if name == "inception_v3" else 224] * 2, 10), Candidate(Torchvision(name))
    assert network_cost(candidate, images).macs == counted_by_torch(candidate, images)


class SameConv(nn.Conv2d):
    """A subclass that computes as its parent does."""


class OwnForward(nn.Conv2d):
    def forward(self, map_NCHW):
        return super().forward(map_NCHW) + super().forward(map_NCHW)


class OwnConvForward(nn.Conv2d):
    def _conv_forward(self, map_NCHW, weight, bias):
        return F.conv2d(F.conv2d(map_NCHW, weight, bias, padding=1), weight, bias, padding=1)


class OwnWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.relu = nn.Parameter(torch.zeros(3, 3)), nn.ReLU()

    def forward(self, map_NCHW):
        return self.relu(torch.einsum("nchw,cd->ndhw", map_NCHW, self.weight))


class OwnProduct(nn.Module):
    def forward(self, map_NCHW):
        return map_NCHW @ map_NCHW


def with_stage(make):
    """Stages of a network that has the layer that `make` makes in the middle of the first one."""

    def stages(backbone, images):
        module, shape = nn.Sequential(nn.Identity(), nn.Sequential(nn.ReLU(), make())), (3, images.height, images.width)
        return [Stage("own", lambda: module, *shape), Stage("last", nn.Identity, *shape)]

    return stages


@pytest.fixture
def own_backbone(monkeypatch):
    """Puts the layer that a function makes in the place of the ResNets' stages."""
    network_cost.cache_clear()
    yield lambda make: monkeypatch.setitem(stages_module.BACKBONES, "resnet", with_stage(make))
    network_cost.cache_clear()


UNKNOWN = {
    "OwnForward": partial(OwnForward, 3, 3, 3, padding=1),
    "OwnConvForward": partial(OwnConvForward, 3, 3, 3, padding=1),
    "OwnWeight": OwnWeight,
    "OwnProduct": OwnProduct,
}
CANDIDATE = Candidate(ResNet((1,), 4))


def test_a_subclass_that_computes_as_its_parent_counts_as_its_parent(own_backbone):
    """Today's code looked up the exact class: MACs of 0, below every cap."""
    own_backbone(partial(SameConv, 3, 3, 3, padding=1))
    cost = network_cost(CANDIDATE, IMAGES)
    assert cost.stages[0].macs == 9 * 3 * 3 * 32 * 32 and cost.macs == counted_by_torch(CANDIDATE)


def test_padding_may_be_named(own_backbone):
    own_backbone(partial(nn.Conv2d, 3, 3, 3, padding="same"))
    assert network_cost(CANDIDATE, IMAGES).macs == counted_by_torch(CANDIDATE)


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_layer_without_a_rule_is_an_error_that_names_its_class_and_place(own_backbone, name):
    own_backbone(UNKNOWN[name])
    mentions = [f"{__name__}.{name}'", "searchlab/model/macs.py"]
    with raises_code("uncountable-layer", where="stages.0.1.1", mentions=mentions):
        network_cost(CANDIDATE, IMAGES)


def test_a_traced_stage_may_not_multiply_outside_of_layers():
    traced = torch.fx.symbolic_trace(OwnProduct())
    with raises_code("uncountable-layer", where="0.matmul", value="function matmul", mentions="MACs"):
        check_countable(nn.Sequential(traced))
    check_countable(nn.Sequential(torch.fx.symbolic_trace(nn.Sequential(nn.ReLU()))))


def test_in_a_search_such_a_candidate_fails_untrained_and_at_check_time_it_is_one_line(own_backbone):
    own_backbone(OwnProduct)
    study = Study("own", "digits", name="own", max_params=10**6)
    record = sized(TrialRecord(0, "failed", CANDIDATE, 0), study, IMAGES)
    assert record.state == "failed" and record.cost is None and "OwnProduct" in record.reason
    with raises_code("uncountable-layer", where="space own, stages.0.1.1", mentions="MACs") as raised:
        check_limits(lambda choose: CANDIDATE, IMAGES, study)
    assert "\n" not in str(raised.value)


def test_what_is_counted_has_the_parameters_of_what_is_built():
    for backbone in BACKBONES.values():
        candidate = Candidate(backbone)
        assert network_cost(candidate, IMAGES).params == parameter_count(build(candidate, IMAGES))
