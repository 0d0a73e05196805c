import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from searchlab.operating_point import ExitRule, Frontier, OperatingPoint, difference_estimate, share_estimate
from searchlab.serialization import from_plain, to_plain


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(50, 100, 0.40383, 0.59617), (0, 20, 0.0, 0.16113), (20, 20, 0.83887, 1.0), (1, 1, 0.20654, 1.0)],
)
def test_wilson_interval(hits, total, low, high):
    estimate = share_estimate(hits, total)
    assert estimate.value == hits / total
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=1e-5)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_and_solves_the_score_equation(pair):
    hits, total = pair
    estimate = share_estimate(hits, total)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    # Wilson: each end p is where |share - p| is z standard errors of p; at 0 and 1 one end is the share itself.
    for end in (estimate.low, estimate.high):
        off = abs(estimate.value - end) - 1.959963984540054 * math.sqrt(max(0.0, end * (1 - end) / total))
        assert abs(off) < 1e-6


@pytest.mark.parametrize(
    ("exits", "thresholds"), [((), ()), ((0, 1), ()), ((0,), (0.5,)), ((1, 0), (0.5,)), ((1, 1), (0.5,)), ((-1,), ())]
)
def test_a_rule_that_makes_no_sense_is_refused(exits, thresholds):
    with pytest.raises(ValidationError):
        ExitRule("margin", exits, thresholds)


def test_json_round_trip_keeps_infinite_thresholds():
    rule = ExitRule("margin", (0, 2), (math.inf,))
    point = OperatingPoint(rule, 4, 3, (0.0, 1.0), (0, 3), macs=12.5, params=7, latency_ms=0.25)
    frontier = Frontier("validation", (point,))
    assert from_plain(Frontier, to_plain(frontier)) == frontier


def test_accuracy_has_an_interval():
    point = OperatingPoint(ExitRule("margin", (0,), ()), 100, 50, (1.0,), (50,), macs=1.0, params=1)
    assert point.accuracy == 0.5 and point.latency_ms is None
    assert point.accuracy_estimate == share_estimate(50, 100)


def test_difference_interval():
    found = difference_estimate(25, 10, 100)
    assert found.value == pytest.approx(0.15)
    # Bonett and Price (2012), by hand: (26 - 11) / 102, and the variance (37 / 102 - (15 / 102)²) / 102.
    half = 1.96 * math.sqrt((37 / 102 - (15 / 102) ** 2) / 102)
    assert (found.low, found.high) == pytest.approx((15 / 102 - half, 15 / 102 + half), abs=1e-4)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 5000))
def test_the_difference_lies_in_its_interval_which_is_mirrored_by_exchange(gained, lost, others):
    samples = gained + lost + others + 1
    found, back = difference_estimate(gained, lost, samples), difference_estimate(lost, gained, samples)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    assert (back.low, back.value, back.high) == pytest.approx((-found.high, -found.value, -found.low))
