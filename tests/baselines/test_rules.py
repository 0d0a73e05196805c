from itertools import product
from math import inf, log

import numpy as np
import pytest
from exit_examples import gated_tables, realistic, realistic_gated, tables
from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples

from searchlab.baselines.rules import ENTROPIES, POLICY_FAMILIES, RULE_FAMILIES, thresholds_in
from searchlab.exits.evaluate import evaluate, scores_of
from searchlab.exits.frontier import FrontierSettings, exact_frontier
from searchlab.exits.scores import GATE
from searchlab.front.pareto import values_of
from searchlab.objective import accuracy, latency_ms, macs
from searchlab.operating_point import ExitRule
from searchlab.record import Profile

FAMILIES = [name for name in RULE_FAMILIES if name != "exact"]
OWN_SCORE = {"entropy_grid": "entropy", "let_in": "max_logit", "gate_at_zero": GATE}
"""Families that have a score of their own, whatever the settings name."""


@pytest.mark.parametrize("name", RULE_FAMILIES)
def test_contract(name: str):
    table, cost, latency = realistic_gated(150, 3)
    scores = ("margin", GATE)
    points = RULE_FAMILIES[name](table, Profile(cost, latency), FrontierSettings(scores=scores, thresholds_per_exit=11))
    assert len(points) > (0 if name == "gate_at_zero" else 5)
    assert {point.rule.score for point in points} <= ({OWN_SCORE[name]} if name in OWN_SCORE else set(scores))
    assert all(point == evaluate(table, point.rule, Profile(cost, latency)) for point in points)
    assert (
        RULE_FAMILIES[name](table, Profile(cost, latency), FrontierSettings(scores=scores, thresholds_per_exit=11))
        == points
    )
    only_macs = FrontierSettings((accuracy, macs), ("margin",), thresholds_per_exit=11)
    assert all(point.latency_ms is None for point in RULE_FAMILIES[name](table, Profile(cost), only_macs))


@pytest.mark.parametrize("name", FAMILIES)
@examples(40)
@given(example=st.one_of(tables(most_samples=12), gated_tables()))
def test_the_exact_frontier_weakly_dominates_a_family_whose_thresholds_it_holds(name: str, example):
    table, cost, latency = example
    points = RULE_FAMILIES[name](
        table, Profile(cost, latency), FrontierSettings(scores=("margin", "max_logit"), thresholds_per_exit=4)
    )
    if not points:
        assert table.gates_NG is None if name == "gate_at_zero" else (name, table.exits) == ("let_in", 1)
        return
    extra = thresholds_in(points, table.exits)
    wanted = FrontierSettings((accuracy, latency_ms, macs), tuple(extra), 3, max_points=10_000, extra=extra)
    front_FM = values_of(exact_frontier(table, Profile(cost, latency), wanted).points, wanted.objectives)
    for row_M in values_of(points, wanted.objectives):
        assert np.any(np.all(front_FM <= row_M, axis=1))


def test_rules_and_policies_have_names_of_their_own():
    assert not set(RULE_FAMILIES) & set(POLICY_FAMILIES)


def test_msdnet_lets_the_surest_of_those_that_remain_leave():
    table, cost, latency = realistic(200, 3)
    points = RULE_FAMILIES["msdnet_budgets"](table, Profile(cost, latency), FrontierSettings(scores=("margin",)))
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
    points = RULE_FAMILIES["shared_threshold"](
        table, Profile(cost, latency), FrontierSettings(scores=("margin",), thresholds_per_exit=21)
    )
    assert len(points) == 21 and all(len(set(point.rule.thresholds)) == 1 for point in points)
    assert points[0].shares[0] == 1 or points[0].shares[0] > 0.9
    assert points[-1].shares[-1] == 1


def test_the_gate_leaves_where_it_is_not_negative():
    table, cost, latency = realistic_gated(80, 3)
    (point,) = RULE_FAMILIES["gate_at_zero"](table, Profile(cost, latency), FrontierSettings())
    assert point.rule == ExitRule(GATE, (0, 1, 2), (0.0, 0.0))
    assert table.gates_NG is not None
    taken = [next((k for k in (0, 1) if gates[k] >= 0), 2) for gates in table.gates_NG.tolist()]
    assert point.shares == tuple(taken.count(k) / 80 for k in range(3))


def test_the_entropy_grid_is_tried_in_full_and_screened():
    table, cost, latency = realistic(120, 3)
    values = [*(-share * log(5) for share in ENTROPIES), inf]
    every = [
        evaluate(table, ExitRule("entropy", (0, 1, 2), thresholds), Profile(cost, latency))
        for thresholds in product(values, repeat=2)
    ]
    rows = {(point.latency_ms, -point.accuracy) for point in every}
    front = {row for row in rows if not any(o != row and o[0] <= row[0] and o[1] <= row[1] for o in rows)}
    points = RULE_FAMILIES["entropy_grid"](table, Profile(cost, latency), FrontierSettings())
    assert {(point.latency_ms, -point.accuracy) for point in points} == front
    assert len(points) == len(front) < len(every) == 225


def test_with_many_exits_the_entropy_grid_is_tried_one_exit_at_a_time():
    table, cost, latency = realistic(120, 6)
    points = RULE_FAMILIES["entropy_grid"](table, Profile(cost, latency), FrontierSettings())
    assert len(points) > 5
    for thresholds in (point.rule.thresholds for point in points):
        assert max(thresholds.count(threshold) for threshold in thresholds) >= 4
