from dataclasses import replace

import numpy as np
from exit_examples import realistic, realistic_gated
from raises import raises_code

from searchlab.baselines.compare import Judged, chosen_at, compare
from searchlab.baselines.policy import policy_point
from searchlab.baselines.rules import POLICY_FAMILIES, RULE_FAMILIES
from searchlab.exits.evaluate import evaluate
from searchlab.exits.frontier import FrontierSettings, exact_frontier
from searchlab.objective import latency_ms, macs
from searchlab.operating_point import ExitRule
from searchlab.record import Profile

MARGIN = FrontierSettings(scores=("margin",), thresholds_per_exit=21)


def halves(example):
    table, cost, latency = example
    even_N = np.arange(table.samples) % 2 == 0
    return table.part(even_N), table.part(~even_N), cost, latency


def test_every_rule_and_policy_is_fitted_on_one_table_and_judged_on_the_other():
    fit_table, judge_table, cost, latency = halves(realistic_gated(240, 3))
    rows = compare(fit_table, judge_table, Profile(cost, latency), MARGIN)
    assert [row.rule for row in rows] == [*RULE_FAMILIES, *POLICY_FAMILIES]
    assert all(row.points and not row.left_out for row in rows)
    for row in rows:
        for point in row.points[:: max(1, len(row.points) // 5)]:
            if isinstance(point.by, ExitRule):
                expected = [evaluate(table, point.by, Profile(cost, latency)) for table in (fit_table, judge_table)]
            else:
                exits = [point.by.leaves_at(table) for table in (fit_table, judge_table)]
                tables = (fit_table, judge_table)
                expected = [
                    policy_point(table, exit_N, Profile(cost, latency), point.by.scores, point.by.exits)
                    for table, exit_N in zip(tables, exits, strict=True)
                ]
            assert [point.fitted, point.judged] == expected
    exact = next(row for row in rows if row.rule == "exact")
    assert [point.fitted for point in exact.points] == list(
        exact_frontier(fit_table, Profile(cost, latency), MARGIN).points
    )


def test_what_cannot_be_tried_is_left_out_with_the_reason():
    fit_table, judge_table, cost, latency = halves(realistic(60, 2))
    few = replace(latency, decision_ms={"margin": 0.01})
    rows = {row.rule: row for row in compare(fit_table, judge_table, Profile(cost, few), MARGIN)}
    assert rows["gate_at_zero"].points == () and rows["gate_at_zero"].left_out == ""
    assert rows["let_in"].points == () and "unknown score: 'max_logit'" in rows["let_in"].left_out
    assert rows["exact"].points and rows["patience"].points
    with raises_code("unknown-score", value="luck"):
        compare(fit_table, judge_table, Profile(cost, latency), replace(MARGIN, scores=("luck",)))


def test_the_most_accurate_below_a_limit_is_chosen_by_the_fitting_table():
    fit_table, judge_table, cost, latency = halves(realistic(240, 3))
    points = next(
        row.points for row in compare(fit_table, judge_table, Profile(cost, latency), MARGIN) if row.rule == "exact"
    )
    for objective in (macs, latency_ms):
        costs = [getattr(point.fitted, objective.name) for point in points]
        limit = (min(costs) + max(costs)) / 2
        best = max(point.fitted.accuracy for point, each in zip(points, costs, strict=True) if each <= limit)
        chosen = chosen_at(points, limit, objective)
        assert chosen is not None and chosen.fitted.accuracy == best
        assert getattr(chosen.fitted, objective.name) <= limit
        assert chosen_at(points, min(costs) * 0.99, objective) is None
        dearest = chosen_at(points, limit + 1e9, objective)
        assert dearest.fitted.accuracy == max(point.fitted.accuracy for point in points)
    unmeasured = [Judged(p.by, replace(p.fitted, latency_ms=None), p.judged) for p in points]
    assert chosen_at(unmeasured, 1e9, latency_ms) is None
    dear = replace(points[0].fitted, macs=points[0].fitted.macs + 1)
    twins = [Judged(points[0].by, dear, points[0].judged), points[0]]
    assert chosen_at(twins, 1e12) is points[0]
