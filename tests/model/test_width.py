"""The widest network that holds limits, and what a network exceeds of them."""

import pytest
from raises import raises_code

from searchlab.architecture import VGG, GoogLeNet, ImageSpec, ResNet
from searchlab.candidate import Candidate, Head
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


@pytest.mark.parametrize(("start", "most"), [(1, 5), (16, 4), (500, 3)])
@pytest.mark.parametrize("make", [make, lambda width: Candidate(VGG((1, 2), width)), lambda w: Candidate(GoogLeNet(w))])
@pytest.mark.parametrize("limits", [Limits(300_000), Limits(300_000, 20_000_000), Limits(max_macs=3_000_000)])
def test_the_widest_is_found_in_few_tries_from_any_start(make, limits, start, most):
    """Each try builds a network, at every proposal of a search. Twice the answer's width was always among them."""
    tried = set()

    def tracked(width):
        tried.add(width)
        return make(width)

    width = widest(tracked, IMAGES, limits, start=start)
    assert len(tried) <= most
    assert {width, width + 1} <= tried
    assert not excess_over(network_cost(make(width), IMAGES), limits)
    assert excess_over(network_cost(make(width + 1), IMAGES), limits)


def test_a_cost_that_hardly_grows_at_first_does_not_send_the_search_far_out():
    """The line through two costs that are nearly the same meets the cap at widths that nobody could build."""
    tried = []

    def flat_then_steep(width):
        tried.append(width)
        return Candidate(ResNet((2, 2, 2), 4 if width < 200 else width), final=Head(hidden=(width,)))

    assert widest(flat_then_steep, IMAGES, Limits(300_000), start=1) == 199
    assert max(tried) < 1000
