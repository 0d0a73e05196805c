"""The widest network that holds limits, and what a network exceeds of them."""

import pytest

from searchlab.architecture import ImageSpec, ResNet
from searchlab.candidate import Candidate
from searchlab.errors import UserError
from searchlab.limits import Limits
from searchlab.model.width import excess_over, widest
from searchlab.record import NetworkCost, SegmentCost

IMAGES = ImageSpec(3, 32, 32, 10)


@pytest.mark.parametrize(
    ("max_params", "max_macs", "expected"),
    [
        (None, None, {}),
        (100, 1000, {}),
        (80, 1000, {"params": 0.25}),
        (99, None, {"params": pytest.approx(1 / 99)}),
        (50, 500, {"params": 1.0, "macs": 1.0}),
    ],
)
def test_excess_is_a_share_of_each_limit_that_is_broken(max_params, max_macs, expected):
    cost = NetworkCost((), (SegmentCost("final", 100, 1000),), (0,))
    assert excess_over(cost, Limits(max_params, max_macs)) == expected


def make(width):
    return Candidate(ResNet((2, 2, 2), width))


@pytest.mark.parametrize(("largest", "width"), [(None, 20), (64, 20), (20, 20), (9, 9)])
def test_the_widest_is_never_above_the_largest_width_that_is_allowed(largest, width):
    assert widest(make, IMAGES, Limits(300_000), start=64, largest=largest) == width


def test_without_a_cap_on_size_the_width_is_that_of_the_start():
    assert widest(make, IMAGES, Limits(max_latency_ms=1.0), start=7, largest=64) == 7


def test_a_backbone_whose_cost_does_not_grow_with_its_width_is_refused():
    with pytest.raises(UserError, match="does not grow with its width: 'resnet'"):
        widest(lambda width: make(4), IMAGES, Limits(max_params=1_000_000), start=8)
