import numpy as np
import pytest
from exit_examples import realistic, tables
from hypothesis import given, settings

from searchlab.exits.evaluate import evaluate, scores_of
from searchlab.exits.frontier import FrontierSettings, exact_frontier
from searchlab.exits.rules import RULES, thresholds_in
from searchlab.objective import accuracy, latency_ms, macs
from searchlab.pareto import values_of

FAMILIES = [name for name in RULES if name != "exact"]


@pytest.mark.parametrize("name", RULES)
def test_contract(name: str):
    table, cost, latency = realistic(150, 3)
    wanted = FrontierSettings(scores=("margin", "entropy"), levels=11)
    points = RULES[name](table, cost, latency, wanted)
    assert len(points) > 5 and {point.rule.score for point in points} <= {"margin", "entropy"}
    assert all(point == evaluate(table, point.rule, cost, latency) for point in points)
    only_macs = FrontierSettings((accuracy, macs), ("margin",), levels=11)
    assert all(point.latency_ms is None for point in RULES[name](table, cost, None, only_macs))


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=60, deadline=None)
@given(example=tables(most_samples=12))
def test_the_exact_frontier_weakly_dominates_a_family_whose_thresholds_it_holds(name: str, example):
    table, cost, latency = example
    chosen = ("margin", "max_logit")
    points = RULES[name](table, cost, latency, FrontierSettings(scores=chosen, levels=4))
    extra = thresholds_in(points, table.exits)
    wanted = FrontierSettings((accuracy, latency_ms, macs), chosen, 3, max_points=10_000, extra=extra)
    front_FM = values_of(exact_frontier(table, cost, latency, wanted).points, wanted.objectives)
    for row_M in values_of(points, wanted.objectives):
        assert np.any(np.all(front_FM <= row_M, axis=1))


def test_msdnet_lets_the_surest_of_those_that_remain_leave():
    table, cost, latency = realistic(200, 3)
    points = RULES["msdnet_budgets"](table, cost, latency, FrontierSettings(scores=("margin",)))
    assert len(points) == 39
    # q = 1 shares the samples evenly; q = 1/20 and q = 39/20 are the ends.
    assert points[19].shares == pytest.approx((66 / 200, 66 / 200, 68 / 200))
    weights = np.asarray([1.95, 1.95**2])
    expected = np.floor(200 * weights / (1.95 + 1.95**2 + 1.95**3)) / 200
    assert points[38].shares[:2] == pytest.approx(tuple(expected))
    assert points[0].shares[0] > 0.9
    score_NK = scores_of(table, "margin")
    assert points[19].rule.thresholds[0] == np.sort(score_NK[:, 0])[-66]


def test_one_threshold_is_shared():
    table, cost, latency = realistic(100, 4)
    points = RULES["shared_threshold"](table, cost, latency, FrontierSettings(scores=("margin",), levels=21))
    assert len(points) == 21 and all(len(set(point.rule.thresholds)) == 1 for point in points)
    assert points[0].shares[0] == 1 or points[0].shares[0] > 0.9
    assert points[-1].shares[-1] == 1
