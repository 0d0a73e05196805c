"""The widest network that holds limits, and what a network exceeds of them."""

import pytest
from raises import raises_code

from searchlab.architecture import VGG, GoogLeNet, ImageSpec, ResNet
from searchlab.candidate import Candidate
from searchlab.limits import Limits
from searchlab.model.cost import network_cost
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
    with raises_code("unsupported-network", where="architecture", value="resnet"):
        widest(lambda width: make(4), IMAGES, Limits(max_params=1_000_000), start=8)


@pytest.mark.parametrize("start", [1, 16, 500])
@pytest.mark.parametrize("make", [make, lambda width: Candidate(VGG((1, 2), width)), lambda w: Candidate(GoogLeNet(w))])
@pytest.mark.parametrize("limits", [Limits(300_000), Limits(300_000, 20_000_000), Limits(max_macs=3_000_000)])
def test_the_widest_is_found_in_few_tries_from_any_start(make, limits, start):
    """Each try builds a network, at every proposal of a search: it was seven from near and more from far."""
    tried = set()

    def tracked(width):
        tried.add(width)
        return make(width)

    width = widest(tracked, IMAGES, limits, start=start)
    assert len(tried) <= (7 if start == 500 else 6)
    assert {width, width + 1} <= tried
    assert not excess_over(network_cost(make(width), IMAGES), limits)
    assert excess_over(network_cost(make(width + 1), IMAGES), limits)


def test_a_step_in_the_cost_that_two_neighbours_share_does_not_send_the_search_far_out():
    """Where a wider network costs nearly the same, the line through both costs meets the cap at widths out of reach."""
    tried = []

    def stepped(width):
        tried.append(width)
        return make(4 * (width // 4) if width > 4 else 4)

    width = widest(stepped, IMAGES, Limits(300_000), start=13)
    assert width == 23 and max(tried) <= 4 * 23
