from dataclasses import replace
from itertools import combinations, pairwise, product

import numpy as np
import pytest
from exit_examples import gated_tables, realistic, realistic_gated, tables
from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples
from raises import raises_code

from searchlab.exits import threshold_vectors
from searchlab.exits.costs import exit_cost_ms, total_cost
from searchlab.exits.evaluate import evaluate, normalised, scores_of
from searchlab.exits.frontier import FrontierSettings, exact_frontier
from searchlab.exits.scores import GATE, SCORES, available_scores
from searchlab.exits.threshold_vectors import blocks, tally
from searchlab.exits.thresholds import coarser, grids_by_size, make_grid, quantile_thresholds
from searchlab.front.pareto import values_of
from searchlab.objective import OBJECTIVES, accuracy, latency_ms, macs, params
from searchlab.operating_point import ExitRule
from searchlab.record import Profile

CHOICES = [c for size in (2, 3) for c in combinations(OBJECTIVES.values(), size)]


def naive_scores(table, score):
    if score == GATE:
        return np.asarray([[*gates_G, np.inf] for gates_G in table.gates_NG.tolist()])
    return SCORES[score](table.logits_NKC)


def naive_values(table, cost, latency, exits, score, thresholds):
    """Accuracy, latency, MACs and parameters of one rule, sample by sample, exit by exit, from the definition."""
    score_NK = naive_scores(table, score)
    gates_ms, gates = (latency.gates_ms, cost.gates) if score == GATE else ((), ())
    right = used_ms = used_macs = 0
    for i in range(table.samples):
        for place, k in enumerate(exits):
            last = place == len(exits) - 1
            leaves = last or score_NK[i, k] >= thresholds[place]
            used_ms += 0 if last else latency.decision_ms[score]
            if gates and not last:
                used_ms += gates_ms[k]
                used_macs += gates[k].macs
            if leaves or not gates:
                used_ms += latency.heads_ms[k]
                used_macs += cost.heads[k].macs
            if leaves:
                right += int(table.logits_NKC[i, k].argmax() == table.labels_N[i])
                used_ms += sum(latency.stages_ms[: cost.cuts[k] + 1])
                used_macs += sum(stage.macs for stage in cost.stages[: cost.cuts[k] + 1])
                break
    size = sum(s.params for s in cost.stages[: cost.cuts[exits[-1]] + 1]) + sum(cost.heads[k].params for k in exits)
    size += sum(gates[k].params for k in exits[:-1]) if gates else 0
    n = table.samples
    return {"accuracy": right / n, "latency_ms": used_ms / n, "macs": used_macs / n, "params": size}


def naive_frontier(table, cost, latency, objectives, scores, levels):
    rows = set()
    for score in scores:
        ladders = [[*t, np.inf] for t in make_grid(naive_scores(table, score), levels).thresholds]
        for size in range(1, table.exits + 1):
            for exits in combinations(range(table.exits), size):
                for thresholds in product(*(ladders[k] for k in exits[:-1])):
                    found = naive_values(table, cost, latency, exits, score, thresholds)
                    rows.add(tuple(o.sign * found[o.name] for o in objectives))
    return {
        row
        for row in rows
        if not any(other != row and all(a <= b for a, b in zip(other, row, strict=True)) for other in rows)
    }


@pytest.mark.slow
@examples(150)
@given(
    tables(),
    st.sampled_from(CHOICES),
    st.lists(st.sampled_from(sorted(SCORES)), min_size=1, max_size=2, unique=True),
    st.integers(2, 5),
)
def test_equals_the_naive_twin(example, objectives, scores, levels):
    table, cost, latency = example
    wanted = FrontierSettings(objectives, tuple(scores), levels, max_points=10_000)
    points = exact_frontier(table, Profile(cost, latency), wanted).points
    found = [tuple(row) for row in values_of(points, objectives).tolist()]
    assert len(found) == len(set(found))
    assert set(found) == naive_frontier(table, cost, latency, objectives, scores, levels)


@pytest.mark.slow
@examples(150)
@given(gated_tables(), st.sampled_from(CHOICES), st.sampled_from([(GATE,), (GATE, "margin")]), st.integers(2, 5))
def test_equals_the_naive_twin_with_gates(example, objectives, scores, levels):
    table, cost, latency = example
    points = exact_frontier(
        table, Profile(cost, latency), FrontierSettings(objectives, scores, levels, max_points=10_000)
    ).points
    found = [tuple(row) for row in values_of(points, objectives).tolist()]
    assert len(found) == len(set(found))
    assert set(found) == naive_frontier(table, cost, latency, objectives, scores, levels)


@pytest.mark.parametrize(("score", "example"), [("margin", realistic), (GATE, realistic_gated)], ids=["margin", GATE])
@pytest.mark.parametrize("objectives", CHOICES, ids=lambda c: "-".join(o.name for o in c))
def test_large_tables_equal_direct_evaluation(objectives, score, example, monkeypatch):
    """Big enough for wide cells in the sieve, and several blocks, the last one shorter."""
    monkeypatch.setattr(threshold_vectors, "BLOCK", 40)
    table, cost, latency = example(400, 3)
    wanted = FrontierSettings(objectives, (score,), 13, max_points=10**6)
    points = exact_frontier(table, Profile(cost, latency), wanted).points
    score_NK = scores_of(table, score)
    ladders = [[*t.tolist(), np.inf] for t in make_grid(score_NK, 13).thresholds]
    every = [
        evaluate(table, ExitRule(score, exits, thresholds), Profile(cost, latency))
        for size in (1, 2, 3)
        for exits in combinations(range(3), size)
        for thresholds in product(*(ladders[k] for k in exits[:-1]))
    ]
    rows = np.unique(values_of(every, objectives), axis=0)
    dominated = [np.any(np.all(rows <= row, axis=1) & np.any(rows < row, axis=1)) for row in rows]
    front = rows[~np.asarray(dominated)]
    np.testing.assert_array_equal(np.unique(values_of(points, objectives), axis=0), front)


@pytest.mark.parametrize(("score", "example"), [("entropy", realistic), (GATE, realistic_gated)], ids=["entropy", GATE])
@pytest.mark.parametrize("exits", [1, 2, 3, 4])
def test_every_vector_agrees_with_direct_evaluation_to_the_last_bit(exits: int, score, example):
    table, cost, latency = example(300, exits, seed=exits)
    score_NK = scores_of(table, score)
    grid = make_grid(score_NK, 6)
    used = tuple(range(exits))
    cost_K = exit_cost_ms(cost, latency, used, score)
    counts = tally(grid.levels_KN[:-1], tuple(table.correct_NK.T), grid.sizes(used[:-1]))
    found = [(w, t) for _, (wrong, total) in blocks(counts, [cost_K]) for w, t in zip(wrong, total, strict=True)]
    ladders = [[*t.tolist(), np.inf] for t in grid.thresholds[:-1]]
    every = list(product(*ladders))
    assert len(found) == len(every) == counts.vectors
    for (wrong, total), thresholds in zip(found, every, strict=True):
        point = evaluate(table, ExitRule(score, used, thresholds), Profile(cost, latency))
        assert 300 - wrong == point.correct
        assert total / 300 == point.latency_ms
        left = np.cumsum(point.shares)[:-1] * 300
        assert total == total_cost(cost_K, 300, [int(300 - round(x)) for x in left])


@pytest.mark.slow
@given(st.one_of(tables(), gated_tables()), st.sampled_from(CHOICES), st.integers(2, 4), st.integers(3, 6))
def test_points_are_normalised_consistent_and_few(example, objectives, most_exits, most_points):
    table, cost, latency = example
    scores = available_scores(tuple(SCORES), gated=table.gates_NG is not None)
    wanted = FrontierSettings(objectives, scores, thresholds_per_exit=5, max_exits=most_exits, max_points=most_points)
    frontier = exact_frontier(table, Profile(cost, latency), wanted, split="validation")
    assert frontier.split == "validation" and 1 <= len(frontier.points) <= most_points
    for point in frontier.points:
        assert point == evaluate(table, point.rule, Profile(cost, latency))
        assert point.rule == normalised(scores_of(table, point.rule.score), point.rule)
        assert all(share > 0 for share in point.shares) and sum(point.shares) == pytest.approx(1)
        assert len(point.rule.exits) <= most_exits and np.isfinite(point.rule.thresholds).all()
    first_cost = next(o for o in objectives if o != accuracy)
    costs = [getattr(point, first_cost.name) for point in frontier.points]
    assert costs == sorted(costs)


@given(gated_tables(), st.integers(0, 3))
def test_dropping_an_exit_that_nobody_takes_never_costs_more(example, seed):
    table, cost, latency = example
    thresholds = np.random.default_rng(seed).integers(-3, 4, table.exits - 1).astype(np.float64).tolist()
    rule = ExitRule(GATE, tuple(range(table.exits)), tuple(thresholds))
    whole = evaluate(table, rule, Profile(cost, latency))
    fewer = evaluate(table, normalised(scores_of(table, GATE), rule), Profile(cost, latency))
    assert fewer.correct == whole.correct
    assert fewer.latency_ms <= whole.latency_ms and fewer.macs <= whole.macs and fewer.params <= whole.params


def test_exits_that_nobody_takes_are_dropped():
    score_NK = np.asarray([[0.9, 0.1, 0.9, 0.3], [0.2, 0.1, 0.8, 0.2]])

    def dropped(*thresholds: float) -> ExitRule:
        return normalised(score_NK, ExitRule("margin", (0, 1, 2, 3), thresholds))

    assert dropped(0.5, 0.5, 0.5) == ExitRule("margin", (0, 2), (0.5,))
    assert dropped(0.1, 0.5, 0.5) == ExitRule("margin", (0,), ())
    assert dropped(np.inf, np.inf, np.inf) == ExitRule("margin", (3,), ())
    assert dropped(np.inf, 0.5, 0.85) == ExitRule("margin", (2, 3), (0.85,))


def test_macs_need_no_latency():
    table, cost, _ = realistic(60, 3)
    points = exact_frontier(table, Profile(cost), FrontierSettings((accuracy, macs))).points
    assert len(points) > 3 and all(point.latency_ms is None for point in points)
    assert [point.accuracy for point in points] == sorted(point.accuracy for point in points)


def test_many_exits_stay_within_the_bounds():
    table, cost, latency = realistic(100, 9)
    wanted = FrontierSettings((accuracy, macs, params), ("margin",), max_exits=9, max_vectors=300, max_points=9)
    points = exact_frontier(table, Profile(cost, latency), wanted).points
    assert len(points) == 9


def test_mistakes_are_named():
    table, cost, latency = realistic(20, 2)
    with raises_code("unknown-score", value="luck", mentions=f"known: {', '.join(sorted(SCORES))}"):
        exact_frontier(table, Profile(cost, latency), FrontierSettings(scores=("luck",)))
    with raises_code("invalid-field", where="frontier thresholds_per_exit", value=1, mentions="from 2"):
        FrontierSettings(thresholds_per_exit=1)
    with raises_code("unknown-score", where="measured decision latencies"):
        exact_frontier(table, Profile(cost, replace(latency, decision_ms={})), FrontierSettings((accuracy, latency_ms)))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(2, 12))
def test_quantile_thresholds_let_in_even_shares(scores, levels):
    score_N = np.asarray(scores, dtype=np.float64)
    thresholds = quantile_thresholds(score_N, levels)
    assert 1 <= len(thresholds) <= levels - 1
    assert np.all(np.diff(thresholds) > 0) and thresholds[0] == score_N.min()
    ordered = sorted(scores)
    wanted = {ordered[i * len(scores) // (levels - 1)] for i in range(levels - 1)}
    assert {min(s for s in scores if s >= t) for t in thresholds} == wanted


def test_a_threshold_between_neighbouring_floats_separates_them():
    low = 1.0 - 2**-53
    thresholds = quantile_thresholds(np.asarray([low, 1.0]), 3)
    assert [(np.asarray([low, 1.0]) >= t).tolist() for t in thresholds] == [[True, True], [False, True]]


@given(st.integers(2, 9), st.integers(2, 30), st.integers(2, 400))
def test_coarser_grids_are_parts_of_finer_ones(exits, levels, max_vectors):
    score_NK = np.random.default_rng(levels).integers(0, 12, (40, exits)).astype(np.float64)
    grids = grids_by_size(make_grid(score_NK, levels), exits, max_vectors)
    for size, (finer, grid) in enumerate(pairwise(grids), start=2):
        for k in range(exits):
            assert set(grid.thresholds[k]) <= set(finer.thresholds[k])
            np.testing.assert_array_equal(grid.levels_KN[k], (score_NK[:, k, None] >= grid.thresholds[k]).sum(axis=1))
        largest = max(grid.sizes(range(exits)))
        assert largest <= 2 or largest ** (size - 1) <= max_vectors


def test_extra_thresholds_are_in_the_grid_and_never_is_not_doubled():
    score_NK = np.linspace(0, 1, 20).reshape(10, 2)
    grid = make_grid(score_NK, 3, [[0.123, np.inf]])
    assert 0.123 in grid.thresholds[0] and np.isfinite(grid.thresholds[0]).all()
    assert len(coarser(grid, 2).thresholds[0]) == 1
