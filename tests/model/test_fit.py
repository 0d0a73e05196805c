"""The projection onto the limits."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples
from small_candidates import IMAGES, candidates

from searchlab.architecture import ImageSpec, ResNet
from searchlab.candidate import Candidate, Exit, Head
from searchlab.limits import Limits
from searchlab.model.cost import network_cost
from searchlab.model.fit import fit
from searchlab.model.width import excess_over

CAP = st.none() | st.integers(1, 3_000_000)
LIMITS = st.builds(Limits, max_params=CAP, max_macs=CAP)


def widened(candidate, width):
    return replace(candidate, architecture=replace(candidate.architecture, width=width))


@pytest.mark.slow
@examples(60)
@given(candidates(), IMAGES, LIMITS)
def test_the_width_is_the_largest_that_holds_the_limits(candidate, images, limits):
    fitted = fit(candidate, images, limits)
    width = fitted.architecture.width
    assert fitted == widened(candidate, width), "nothing but the width may change"
    if limits == Limits():
        assert fitted == candidate
        return
    assert excess_over(network_cost(widened(candidate, width + 1), images), limits)
    if excess_over(network_cost(fitted, images), limits):
        assert width == 1, "only where nothing fits may the limits be broken"


@pytest.mark.parametrize("start", [1, 7, 64, 3000])
def test_where_the_search_starts_does_not_matter(start):
    candidate = Candidate(ResNet((2, 2, 2), start), (Exit(2, Head(hidden=(32,))),))
    assert fit(candidate, ImageSpec(3, 32, 32, 10), Limits(300_000)).architecture.width == 20


@pytest.mark.slow
@examples(30)
@given(candidates(), IMAGES)
def test_a_limit_that_is_met_exactly_is_held(candidate, images):
    cost = network_cost(candidate, images)
    assert fit(widened(candidate, 1), images, Limits(cost.params, cost.macs)) == candidate


@pytest.mark.parametrize(
    "architecture",
    [
        ResNet((1, 2, 3, 1), 64, first_kernel=1),
        ResNet((3, 5, 3), 64),
        ResNet((2, 2, 2), 64, first_kernel=5),
        ResNet((3, 3, 5, 3), 32),
        ResNet((2, 2, 2, 2), 32, first_kernel=5),
        ResNet((2, 3, 4, 2), 16, first_kernel=7, second_kernel=7, skip_kernel=5),
    ],
)
def test_below_5_million_the_widths_are_those_of_paper_004(architecture):
    start = Candidate(replace(architecture, width=10))
    assert fit(start, ImageSpec(3, 32, 32, 10), Limits(5_000_000)) == Candidate(architecture)


def test_if_nothing_fits_width_1_is_returned():
    candidate = Candidate(ResNet((1, 1), 16), final=Head(hidden=(64,)))
    fitted = fit(candidate, ImageSpec(1, 8, 8, 10), Limits(max_params=700))
    assert fitted.architecture.width == 1
    assert network_cost(fitted, ImageSpec(1, 8, 8, 10)).params > 700


@pytest.mark.parametrize(("cap", "width"), [(300_000, 16), (90_000, 8), (40_000, 7)])
def test_widths_are_multiples_where_as_many_channels_fit(cap, width):
    candidate = Candidate(ResNet((2, 2, 2), 16))
    assert fit(candidate, ImageSpec(3, 32, 32, 10), Limits(cap), multiple=8).architecture.width == width
