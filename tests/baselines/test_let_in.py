"""Let-in thresholds of paper 000 against a loop over thresholds."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from exit_examples import realistic, tables
from hypothesis import given
from raises import raises_code

from searchlab.baselines.let_in import TARGETS, let_in_points
from searchlab.baselines.rules import let_in
from searchlab.exits.evaluate import evaluate
from searchlab.exits.frontier import FrontierSettings
from searchlab.record import Profile


def naive(table, exit: int, target: float) -> tuple[float, float] | None:
    """Relative accuracy and share of the best threshold: of equal ones, that which lets in fewer."""
    score_N = table.logits_NKC[:, exit].max(axis=1).tolist()
    right_N = table.correct_NK[:, exit].tolist()
    found = []
    for threshold in {*score_N, inf}:
        above = [right for score, right in zip(score_N, right_N, strict=True) if score >= threshold]
        share = len(above) / len(score_N)
        if target - 1e-9 <= share <= target + 0.1 + 1e-9:
            found.append((sum(above) / len(above) if above else 1.0, -share))
    return max(found) if found else None


def check(table, exit: int, cost, latency) -> None:
    found = {row.target: row for row in let_in_points(table, exit, Profile(cost, latency))}
    for target in TARGETS:
        expected = naive(table, exit, target)
        assert (target in found) == (expected is not None)
        if expected is not None:
            row = found[target]
            assert (row.relative_accuracy, -row.share) == expected
            assert np.mean(table.logits_NKC[:, exit].max(axis=1) >= row.threshold) == row.share
            assert row.point == evaluate(table, row.point.rule, Profile(cost, latency))
            assert row.point.rule.exits == (exit, table.exits - 1) and row.point.shares[0] == row.share


@pytest.mark.slow
@given(tables(most_samples=25))
def test_equals_the_loop_where_many_scores_are_equal(example):
    table, cost, latency = example
    for exit in range(table.exits - 1):
        check(table, exit, cost, latency)


def test_equals_the_loop_on_a_realistic_table():
    table, cost, latency = realistic(200, 3)
    for exit in range(2):
        check(table, exit, cost, latency)
    rows = let_in_points(table, 0, Profile(cost, latency))
    assert tuple(row.target for row in rows) == TARGETS
    assert (rows[0].share, rows[0].relative_accuracy, rows[0].threshold) == (0.0, 1.0, inf)
    assert (rows[-1].share, rows[-1].threshold) == (1.0, -inf)
    assert all(row.target <= row.share <= row.target + 0.1 + 1e-9 for row in rows)


def test_the_family_has_every_early_exit_and_no_rule_twice():
    table, cost, latency = realistic(200, 3)
    points = let_in(table, Profile(cost, latency), FrontierSettings(scores=("margin",)))
    assert {point.rule.exits for point in points} == {(0, 2), (1, 2)}
    assert len({point.rule for point in points}) == len(points) > 12


def test_without_a_measured_decision_there_is_no_latency_to_tell():
    table, cost, latency = realistic(20, 2)
    with raises_code("unknown-score", where="measured decision latencies", value="max_logit"):
        let_in_points(table, 0, Profile(cost, replace(latency, decision_ms={"margin": 0.1})))
