import pytest

from searchlab.engines.route import Route
from searchlab.engines.total_prices import Weights, priced_total, prices_of_totals, routes_of_totals
from searchlab.exits.costs import exit_cost_ms
from searchlab.exits.scores import GATE
from searchlab.record import NetworkCost, SegmentCost, SegmentLatency

WEIGHTS = Weights((1, 2, 4), (10.0, 30.0, 0.0, 5.0, 5.0), (1.0, 1.0, 2.0))
"""Three exits on five stages, of which one has no MACs."""

PRICES = SegmentLatency((0.5, 1.5, 0.2, 0.4, 0.4), (0.02, 0.05, 0.16), {"margin": 0.1, "entropy": 0.3}, ())
GATED = SegmentLatency(PRICES.stages_ms, PRICES.heads_ms, {"margin": 0.1, GATE: 0.06}, (0.04, 0.04))


def totals(prices):
    routes = routes_of_totals(3, list(prices.decision_ms))
    return {route: priced_total(WEIGHTS.cuts, prices, route) for route in routes}


def cost_of(weights):
    parts = [tuple(SegmentCost("part", 1, 1) for _ in each) for each in (weights.stages, weights.heads)]
    return NetworkCost(*parts, weights.cuts, tuple(SegmentCost("gate", 1, 1) for _ in weights.cuts[1:]))


@pytest.mark.parametrize("prices", [PRICES, GATED], ids=["scores", "gates"])
def test_what_every_exit_costs_alone_and_with_all_others_in_use_is_found_from_totals(prices):
    found = prices_of_totals(WEIGHTS, list(prices.decision_ms), totals(prices))
    for score in prices.decision_ms:
        for exits in ((0,), (1,), (2,), (0, 1, 2)):
            costs, expected = (exit_cost_ms(cost_of(WEIGHTS), each, exits, score) for each in (found, prices))
            assert costs == pytest.approx(expected, rel=2e-3), (score, exits)


def test_stages_of_a_leg_share_its_time_by_macs_and_none_is_free():
    found = prices_of_totals(WEIGHTS, ["margin", "entropy"], totals(PRICES)).stages_ms
    assert found[:2] == pytest.approx((0.5, 1.5), rel=0.01) and found[2] == pytest.approx(0.2, rel=0.05)
    assert found[3] == found[4] > 0
    light = prices_of_totals(Weights((1,), (100.0, 0.0), (1.0,)), ["margin"], {Route(0): 1.0})
    assert 0 < light.stages_ms[1] < 0.05 * light.stages_ms[0]


def test_the_final_head_has_its_share_of_what_it_and_the_last_leg_take_together():
    found = prices_of_totals(WEIGHTS, ["margin", "entropy"], totals(PRICES))
    assert found.heads_ms[2] == pytest.approx(0.96 * 2 / 12, rel=0.05)


def test_a_network_with_one_exit_decides_nothing():
    assert routes_of_totals(1, ["margin", "entropy"]) == [Route(0)]
    found = prices_of_totals(Weights((1,), (10.0, 20.0), (2.0,)), ["margin", "entropy"], {Route(0): 3.2})
    assert sum(found.stages_ms) + sum(found.heads_ms) == pytest.approx(3.2, rel=1e-3)
    assert found.decision_ms == {"margin": 0.0, "entropy": 0.0}


def test_no_price_is_negative_where_a_disturbed_route_is_faster_than_its_part():
    disturbed = totals(PRICES) | {Route(0, "entropy"): 1.0, Route(1, "margin"): 2.1}
    found = prices_of_totals(WEIGHTS, ["margin", "entropy"], disturbed)
    assert min(*found.stages_ms, *found.heads_ms, *found.decision_ms.values()) >= 0


def test_a_rule_that_decides_nothing_at_the_last_exit_pays_no_decision_there():
    last, before = (priced_total(WEIGHTS.cuts, PRICES, Route(exit, "margin")) for exit in (2, 1))
    assert last - before == pytest.approx(0.8 + 0.16)
