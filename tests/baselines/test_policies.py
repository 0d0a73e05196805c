"""Policies: one contract for all of POLICY_FAMILIES, naive twins of who leaves where, and what is fitted to what."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from exit_examples import gated_tables, network_cost, realistic, tables
from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples
from quick_part import quick_part
from raises import raises_code

from searchlab.baselines import class_wise as class_wise_module
from searchlab.baselines.class_wise import ClassWise, class_wise
from searchlab.baselines.compare import Judged, compare
from searchlab.baselines.eenet import eenet, features, fit_weights, utilities, utilities_out_of_fold
from searchlab.baselines.patience import Patience
from searchlab.baselines.policy import first_exit, held_out, policy_point, relative_costs
from searchlab.baselines.rules import POLICY_FAMILIES
from searchlab.exits.budgets import geometric_shares, shares_for
from searchlab.exits.evaluate import evaluate, route, scores_of
from searchlab.exits.frontier import FrontierSettings, exact_frontier
from searchlab.exits.scores import GATE, SCORES
from searchlab.exits.table import ExitTable
from searchlab.exits.thresholds import make_grid
from searchlab.objective import accuracy, macs
from searchlab.operating_point import ExitRule
from searchlab.record import Profile

MARGIN = FrontierSettings(scores=("margin",), thresholds_per_exit=21)


@pytest.mark.parametrize("name", quick_part(POLICY_FAMILIES, POLICY_FAMILIES.keys() - {"class_wise"}))
def test_contract(name: str):
    table, cost, latency = realistic(300, 4)
    half_N = np.arange(300) % 2 == 0
    fit_table, judge_table = table.part(half_N), table.part(~half_N)
    found = POLICY_FAMILIES[name](fit_table, Profile(cost, latency), MARGIN)
    assert len(found) >= 4 and len(set(found)) == len(found)
    assert POLICY_FAMILIES[name](fit_table, Profile(cost, latency), MARGIN) == found
    for policy in found[:: max(1, len(found) // 8)]:
        exit_N = policy.leaves_at(judge_table)
        assert exit_N.shape == (150,) and exit_N.min() >= 0 and exit_N.max() < 4
        unlabelled = replace(judge_table, labels_N=np.zeros_like(judge_table.labels_N))
        np.testing.assert_array_equal(policy.leaves_at(unlabelled), exit_N)
        assert policy.leaves_at(judge_table.part(np.asarray([7]))).tolist() == [exit_N[7]]
        point = policy_point(judge_table, exit_N, Profile(cost, latency), policy.scores, policy.exits)
        assert sum(point.shares) == pytest.approx(1) and sum(point.correct_per_exit) == point.correct
        assert set(policy.scores) <= set(SCORES)
    costs = [policy_point(judge_table, each.leaves_at(judge_table), Profile(cost)).macs for each in found]
    assert min(costs) < 0.6 * max(costs)


@pytest.mark.parametrize("name", POLICY_FAMILIES)
@examples(15)
@given(example=tables())
def test_the_smallest_tables_can_be_fitted(name: str, example):
    table, cost, latency = example
    found = POLICY_FAMILIES[name](table, Profile(cost, latency), replace(MARGIN, thresholds_per_exit=3))
    assert len(found) > 0
    for policy in found[:: max(1, len(found) // 4)]:
        exit_N = policy.leaves_at(table)
        assert set(exit_N.tolist()) <= set(range(table.exits))
        assert policy_point(table, exit_N, Profile(cost, latency), policy.scores, policy.exits).samples == table.samples


@given(st.one_of(tables(), gated_tables()), st.sampled_from(["margin", "entropy", GATE]), st.data())
def test_a_policy_that_is_a_rule_costs_what_the_rule_does(example, score, data):
    table, cost, latency = example
    score = score if table.gates_NG is not None else "margin"
    exits = sorted(data.draw(st.sets(st.sampled_from(range(table.exits)), min_size=1)))
    thresholds = data.draw(st.lists(st.floats(-1, 1), min_size=len(exits) - 1, max_size=len(exits) - 1))
    rule = ExitRule(score, tuple(exits), tuple(thresholds))
    leaving = np.stack(route(scores_of(table, score), rule), axis=1)
    exit_N = np.asarray(exits)[leaving.argmax(axis=1)]
    point = policy_point(table, exit_N, Profile(cost, latency), (score,), rule.exits)
    expected = evaluate(table, rule, Profile(cost, latency))
    assert (point.macs, point.latency_ms, point.correct) == (expected.macs, expected.latency_ms, expected.correct)
    assert tuple(point.shares[k] for k in exits) == expected.shares
    assert tuple(point.correct_per_exit[k] for k in exits) == expected.correct_per_exit
    assert point.accuracy_estimate == expected.accuracy_estimate and point.accuracy == expected.accuracy


def test_leaving_where_no_exit_is_in_use_is_our_own_mistake():
    table, cost, _ = realistic(10, 3)
    with pytest.raises(AssertionError, match="not in use"):
        policy_point(table, np.ones(10, dtype=np.intp), Profile(cost), exits=(0, 2))


def test_a_decision_takes_as_long_as_all_of_its_scores():
    table, cost, latency = realistic(10, 2)
    latency = replace(latency, decision_ms={"margin": 0.25, "entropy": 0.5})
    exit_N = np.ones(10, dtype=np.intp)

    def decision_ms(*scores: str) -> float:
        without = policy_point(
            table, exit_N, Profile(cost, replace(latency, decision_ms={"none": 0.0})), ("none",)
        ).latency_ms
        found = policy_point(table, exit_N, Profile(cost, latency), scores).latency_ms
        assert found is not None and without is not None
        return found - without

    assert decision_ms("margin", "entropy") == pytest.approx(0.75)
    assert decision_ms("margin", "max_logit") == pytest.approx(0.75)  # As the dearest that was measured.
    with raises_code("unknown-score", where="measured decision latencies", value="margin"):
        policy_point(table, exit_N, Profile(cost, replace(latency, decision_ms={})), ("margin",))


def test_policies_are_fitted_to_latency_where_it_is_an_objective():
    _, cost, latency = realistic(10, 3)
    by_ms = relative_costs(Profile(cost, latency), MARGIN, ("margin",))
    by_macs = relative_costs(Profile(cost, latency), replace(MARGIN, objectives=(accuracy, macs)), ("margin",))
    assert by_ms[-1] == by_macs[-1] == 1 and by_ms[0] != by_macs[0]
    np.testing.assert_array_equal(by_macs, relative_costs(Profile(cost, None), MARGIN, ("margin",)))
    first_ms = latency.stages_ms[0] + latency.heads_ms[0] + latency.decision_ms["margin"]
    last_ms = sum(latency.stages_ms) + sum(latency.heads_ms) + 2 * latency.decision_ms["margin"]
    assert by_ms[0] == pytest.approx(first_ms / last_ms)


@given(st.integers(0, 40))
def test_every_sample_is_held_out_once(samples: int):
    masks = held_out(samples)
    assert len(masks) == (min(5, samples) if samples > 1 else 0)
    if masks:
        assert np.stack(masks).sum(axis=0).tolist() == [1] * samples
        assert all(0 < mask.sum() < samples for mask in masks)


@given(tables(most_exits=6, most_samples=12), st.integers(1, 7))
def test_patience_equals_counting(example, agreeing: int):
    table, _, _ = example
    expected = []
    for sample in table.logits_NKC.argmax(axis=2).tolist():
        streak, previous = 0, None
        for k, named in enumerate(sample):
            streak = streak + 1 if named == previous else 1
            previous = named
            if streak == agreeing or k == len(sample) - 1:
                expected.append(k)
                break
    assert Patience(agreeing).leaves_at(table).tolist() == expected


@given(tables(most_exits=4, most_samples=12), st.data())
def test_thresholds_by_class_are_applied_to_the_class_that_the_exit_names(example, data):
    table, _, _ = example
    values = st.one_of(st.floats(0, 1), st.just(np.inf))
    exits = tuple(sorted(data.draw(st.sets(st.sampled_from(range(table.exits)), min_size=1))))
    thresholds = data.draw(st.lists(st.tuples(*[values] * 3), min_size=len(exits) - 1, max_size=len(exits) - 1))
    expected = []
    for i in range(table.samples):
        for place, k in enumerate(exits):
            named = int(table.logits_NKC[i, k].argmax())
            if place == len(exits) - 1 or SCORES["margin"](table.logits_NKC[i, k]) >= thresholds[place][named]:
                expected.append(k)
                break
    assert ClassWise("margin", exits, tuple(thresholds), 1.0).leaves_at(table).tolist() == expected


def two_exits(seed: int, classes: int, samples: int, by_class: bool) -> ExitTable:
    """The first exit is right if its score is high, or, by class, if it names a class of the upper half; the last is.

    Its score, the margin, is the same for all classes.
    """
    rng = np.random.default_rng(seed)
    labels_N, sure_N = rng.integers(0, classes, samples), rng.random(samples)
    named_N = rng.integers(0, classes, samples)
    right_N = rng.random(samples) < (0.1 + 0.9 * (named_N >= classes // 2) if by_class else 0.2 + 0.8 * sure_N)
    labels_N = np.where(right_N, named_N, (named_N + 1) % classes)
    logits_NKC = np.zeros((samples, 2, classes), dtype=np.float32)
    logits_NKC[np.arange(samples), 0, named_N] = 6 * sure_N
    logits_NKC[np.arange(samples), 1, labels_N] = 9
    return ExitTable(logits_NKC, labels_N.astype(np.int64))


COST_OF_TWO = network_cost([100, 100], [1, 1], [0, 1])


def judged(fit_table: ExitTable, judge_table: ExitTable, strength: float | None, monkeypatch) -> list[Judged]:
    """All policies with thresholds by class, of the strength that was chosen or of the one given."""
    if strength is not None:
        monkeypatch.setattr(class_wise_module, "STRENGTHS", (strength,))
    rows = compare(fit_table, judge_table, Profile(COST_OF_TWO), replace(MARGIN, objectives=(accuracy, macs)))
    points = next(row.points for row in rows if row.rule == "class_wise")
    return sorted(points, key=lambda each: each.judged.macs)


@pytest.mark.slow
def test_classes_that_differ_get_thresholds_of_their_own(monkeypatch):
    tables = [two_exits(seed, 4, 1500, by_class=True) for seed in (0, 1)]
    chosen, shared = (judged(*tables, strength, monkeypatch) for strength in (None, np.inf))
    assert {each.by.strength for each in chosen} <= {1.0, 3.0, 10.0}
    # Those of the upper classes leave, half of all; they are right, and so are those that stay.
    found = {each.judged.accuracy for each in chosen if 0.4 < each.judged.shares[0] < 0.6}
    other = {each.judged.accuracy for each in shared if 0.4 < each.judged.shares[0] < 0.6}
    assert max(found) > 0.97 and max(other) < 0.85


@pytest.mark.slow
def test_thresholds_of_classes_that_do_not_differ_are_shrunk_to_the_shared_one(monkeypatch):
    tables = (two_exits(1, 30, 300, by_class=False), two_exits(0, 30, 3000, by_class=False))
    limits = (120, 140, 160, 180)
    chosen, shared, own = (
        np.interp(limits, [each.judged.macs for each in points], [each.judged.accuracy for each in points]).mean()
        for points in [judged(*tables, strength, monkeypatch) for strength in (None, np.inf, 1.0)]
    )
    assert chosen > shared - 0.002 and shared > own + 0.005


def test_the_shared_thresholds_are_the_exact_frontier(monkeypatch):
    monkeypatch.setattr(class_wise_module, "STRENGTHS", (np.inf,))
    table, cost, latency = realistic(300, 3)
    found = class_wise(table, Profile(cost, latency), MARGIN)
    expected = exact_frontier(table, Profile(cost, latency), MARGIN).points
    assert [policy.exits for policy in found] == [point.rule.exits for point in expected]
    for policy, point in zip(found, expected, strict=True):
        assert policy.thresholds == tuple((threshold,) * 5 for threshold in point.rule.thresholds)


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(2, 9))
def test_classes_trade_and_keep_about_as_many(seed: int, classes: int, levels: int):
    rng = np.random.default_rng(seed)
    count_CL, gain_CL = rng.integers(0, 5, (classes, levels)), rng.integers(-3, 4, (classes, levels))
    kept_CL, won_CL = (each.cumsum(axis=1).astype(float) for each in (count_CL, np.clip(gain_CL, -count_CL, count_CL)))
    shared, rows = int(rng.integers(0, levels)), np.arange(classes)
    position_C = class_wise_module._traded(won_CL, kept_CL, shared)
    kept, won, wanted = kept_CL[rows, position_C].sum(), won_CL[rows, position_C].sum(), kept_CL[:, shared].sum()
    # Nothing that keeps as many wins more, and no price keeps a number nearer to what the shared threshold does.
    for other in product(range(levels), repeat=classes) if classes <= 3 else []:
        assert kept_CL[rows, other].sum() != kept or won_CL[rows, other].sum() <= won + 1e-9
    for price in np.linspace(-0.95, 0.95, 12) + 0.00137:
        other = (won_CL - price * kept_CL).argmax(axis=1)
        assert abs(kept - wanted) <= abs(kept_CL[rows, other].sum() - wanted)


def test_own_thresholds_are_fitted_to_what_staying_brings():
    """At every early exit: those that come there, and whether they would be right further on, by the shared rule."""
    table, _, _ = realistic(250, 4)
    seen, grid = class_wise_module._Seen.of(table, "margin"), make_grid(scores_of(table, "margin"), 9)
    exits, shared = (0, 2, 3), (5, 3)
    thresholds = tuple(float(grid.thresholds[k][at]) for k, at in zip(exits, shared, strict=False))
    ladders = [np.append(each, np.inf) for each in grid.thresholds]
    fit = class_wise_module._fit(seen, ExitRule("margin", exits, thresholds), ladders, grid.levels_KN)
    assert fit.shared_E.tolist() == list(shared)
    for place, k in enumerate(exits[:-1]):
        won_CL, kept_CL, samples_C = np.zeros((5, 9)), np.zeros((5, 9)), np.zeros(5)
        for i in range(table.samples):
            leaves = [score >= t for score, t in zip(seen.score_NK[i, exits[:-1]], thresholds, strict=True)]
            if any(leaves[:place]):
                continue
            later = next((j for j in range(place + 1, 2) if leaves[j]), 2)
            named = int(table.logits_NKC[i, k].argmax())
            samples_C[named] += 1
            for at, threshold in enumerate(ladders[k]):
                if seen.score_NK[i, k] < threshold:
                    kept_CL[named, at] += 1
                    won_CL[named, at] += float(table.correct_NK[i, exits[later]]) - float(table.correct_NK[i, k])
        assert fit.samples_EC[place].tolist() == samples_C.tolist()
        assert fit.own_EC[place].tolist() == class_wise_module._traded(won_CL, kept_CL, shared[place]).tolist()


def test_gates_have_no_thresholds_by_class():
    table, cost, latency = realistic(40, 2)
    assert class_wise(table, Profile(cost, latency), FrontierSettings(scores=(GATE,))) == ()


def test_a_sample_has_no_say_in_the_utility_that_sets_thresholds():
    table, _, _ = realistic(60, 3)
    labels_N = table.labels_N.copy()
    labels_N[17] = (labels_N[17] + 1) % 5
    changed = replace(table, labels_N=labels_N)
    assert (changed.correct_NK[17] != table.correct_NK[17]).any()
    before_NE, after_NE = utilities_out_of_fold(table), utilities_out_of_fold(changed)
    np.testing.assert_array_equal(before_NE[17], after_NE[17])
    assert (before_NE != after_NE).any()


def test_the_mean_cost_meets_every_budget():
    table, cost, latency = realistic(400, 4)
    policies = eenet(table, Profile(cost, latency), MARGIN)
    cost_K = relative_costs(Profile(cost, latency), MARGIN, policies[0].scores)
    unseen_NE = utilities_out_of_fold(table)
    budgets = [policy.budget for policy in policies]
    assert len(budgets) == 39 and budgets == sorted(budgets)
    assert cost_K[0] < budgets[0] and budgets[-1] < cost_K[-1]
    for policy in policies:
        spent = cost_K[first_exit(unseen_NE >= np.asarray(policy.thresholds))].mean()
        assert abs(spent - policy.budget) <= 4 / 400


def test_utility_is_the_log_odds_of_being_right():
    table, _, _ = realistic(600, 3)
    utility_NE = utilities(features(table), fit_weights(table))
    probability_NE = 1 / (1 + np.exp(-utility_NE))
    assert probability_NE.mean(axis=0) == pytest.approx(table.correct_NK[:, :2].mean(axis=0), abs=1e-3)
    for k in range(2):
        right_N = table.correct_NK[:, k]
        assert utility_NE[right_N, k].mean() > utility_NE[~right_N, k].mean() + 0.1
    everybody = replace(table, labels_N=table.logits_NKC[:, 0].argmax(axis=1))
    (first, *_) = fit_weights(everybody)
    assert first == (1.0, 0.0, 0.0, 0.0, pytest.approx(np.log(601)))


def test_features_are_the_scores_and_who_agrees():
    class_NK = np.asarray([[0, 0, 1, 1], [2, 1, 2, 0]])
    table = ExitTable(np.eye(3, dtype=np.float32)[class_NK] * 5, np.zeros(2, dtype=np.int64))
    found_NEF = features(table)
    assert found_NEF.shape == (2, 3, 4)
    assert found_NEF[:, :, 3].tolist() == [[0, 1, 0], [0, 0, 0.5]]
    np.testing.assert_array_equal(found_NEF[:, :, 1], SCORES["margin"](table.logits_NKC)[:, :3])


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=12), st.floats(0.02, 0.98))
def test_geometric_shares_meet_a_budget(steps, between):
    cost_K = np.cumsum(steps)
    budget = float(cost_K[0] + between * (cost_K[-1] - cost_K[0]))
    share_K = shares_for(budget, cost_K)
    assert share_K.sum() == pytest.approx(1)
    assert share_K @ cost_K == pytest.approx(budget, rel=1e-3)
    ratio = share_K[1:] / share_K[:-1]
    assert ratio == pytest.approx(np.full(len(ratio), ratio[0]), rel=1e-6)
    assert geometric_shares(2.0, 3) == pytest.approx([1 / 7, 2 / 7, 4 / 7])
