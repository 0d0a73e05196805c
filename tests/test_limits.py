"""Limits as one noun: shares of the caps, and what exceeds them."""

import math

import pytest
from pydantic import ValidationError
from raises import raises_code

from searchlab.limits import Limits
from searchlab.serialization import from_plain, to_plain
from searchlab.study import Study


def test_the_limits_of_a_study_are_its_fields():
    study = Study("small_resnet", "digits", max_params=7, max_latency_ms=0.5)
    assert study.limits == Limits(7, None, 0.5) and Study("small_resnet", "digits").limits == Limits()
    assert from_plain(Limits, to_plain(study.limits)) == study.limits


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (1.0, Limits(101, 1001, 2.0)),
        (0.5, Limits(50, 500, 2.0)),
        (0.001, Limits(1, 1, 2.0)),
        (0.0, Limits(1, 1, 2.0)),
    ],
)
def test_a_share_is_of_parameters_and_macs_rounded_down_and_at_least_one(share, expected):
    assert Limits(101, 1001, 2.0).share(share) == expected
    assert Limits().share(share) == Limits()


def test_a_share_of_macs_may_be_another():
    assert Limits(100, 100).share(0.5, macs=1.0) == Limits(50, 100)


def test_the_whole_of_a_cap_is_the_cap_however_large():
    """Beyond 2**53 a float does not hold every digit."""
    cap = 2**63 + 1
    assert Limits(cap).share(1.0).max_params == cap


@pytest.mark.parametrize("share", [-0.1, 1.01, math.nan, math.inf])
def test_a_share_outside_of_0_to_1_would_break_the_cap(share):
    with raises_code("invalid-field"):
        Limits(100).share(share)


def test_a_default_cap_holds_only_where_the_study_has_none():
    assert Limits(7, 8, 9.0).or_else(max_params=5) == Limits(7, 8, 9.0)
    assert Limits(None, 8, 9.0).or_else(max_params=5) == Limits(5, 8, 9.0)


def test_what_exceeds_a_cap_is_a_share_of_it_and_what_is_unknown_or_uncapped_exceeds_nothing():
    limits = Limits(100, None, 0.5)
    assert limits.excess(params=150, macs=10**9, latency_ms=0.5) == {"params": 0.5}
    assert limits.excess(latency_ms=1.0) == {"latency_ms": 1.0}
    assert limits.excess() == {}


@pytest.mark.parametrize("fields", [{"max_params": 0}, {"max_macs": -1}, {"max_latency_ms": math.inf}], ids=str)
def test_a_cap_is_positive_and_finite(fields):
    with pytest.raises(ValidationError):
        Limits(**fields)
