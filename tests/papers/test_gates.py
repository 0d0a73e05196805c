import json
from dataclasses import replace

import numpy as np
import pytest
from paper_parts import names, part

from searchlab.data.batches import Normaliser
from searchlab.deploy.runtime import EarlyExitRuntime
from searchlab.exits.evaluate import evaluate
from searchlab.exits.table import ExitTable
from searchlab.exits.tabulate import tabulate
from searchlab.operating_point import ExitRule
from searchlab.papers.paper import Finished
from searchlab.record import NetworkCost, Profile, SegmentCost
from searchlab.serialization import from_plain

pytestmark = pytest.mark.slow  # A network is trained for all of them.

gates_evaluation = part("gates", "evaluation")
GATES, JOINT_RULES, RULE_LABELS = names("gates", "tables", "PAPER", "JOINT_RULES", "RULE_LABELS")
accurate_enough, evaluate_gates, right_under = names(
    "gates", "evaluation", "accurate_enough", "evaluate_gates", "right_under"
)
FRONTIER, LOSS, PLAIN, ZERO, GatesFound = names("gates", "found", "FRONTIER", "LOSS", "PLAIN", "ZERO", "GatesFound")
RuntimeOptions = part("gates", "runtime").RuntimeOptions
ALPHAS, sweep = names("gates", "sweep", "ALPHAS", "sweep")

QUICK = RuntimeOptions(images=24, rounds=2, budget_s=0.5)


@pytest.fixture(scope="session")
def found(gated, joint):
    """What is found about both networks, as it comes back from its file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gates_evaluation, "RuntimeOptions", lambda: QUICK)
        findings = [json.loads(json.dumps(evaluate_gates(each), allow_nan=False)) for each in (gated, joint)]
    return [from_plain(GatesFound, each) for each in findings], findings


def test_every_alpha_and_every_rule_is_there(found, gated, joint):
    (with_gates, without), _ = found
    assert tuple(each.alpha for each in with_gates.alphas) == ALPHAS
    assert {rule.rule for rule in with_gates.rules} >= set(RULE_LABELS)
    assert set(JOINT_RULES) <= {rule.rule for rule in without.rules} and without.contenders is None
    for each, subject in zip((with_gates, without), (gated, joint), strict=True):
        test = tabulate(subject.network, subject.dataset.test, Normaliser.of(subject.dataset, "cpu"))
        assert each.correct == tuple(test.correct_NK.sum(axis=0)) and each.samples == len(subject.dataset.test)
        assert len(each.exits) == 3 and each.by == "macs"


def test_what_is_chosen_is_chosen_on_validation(found, gated):
    (with_gates, _), _ = found
    validation = tabulate(gated.network, gated.dataset.validation, Normaliser.of(gated.dataset, "cpu"))
    least = validation.correct_NK[:, -1].sum() - LOSS * validation.samples
    tables = [swept.validation for swept in sweep(gated)]
    for name, kind in ((ZERO, "zero"), (FRONTIER, "frontier")):
        points = [getattr(each, kind).validation for each in with_gates.alphas]
        good = [point for point, table in zip(points, tables, strict=True) if accurate_enough(point, table)]
        expected = min(good, key=lambda p: p.macs) if good else max(points, key=lambda p: (p.correct, -p.macs))
        chosen = points[with_gates.chosen[name]]
        assert (chosen.correct, chosen.macs) == (expected.correct, expected.macs)
    for each in with_gates.alphas:
        taken = each.zero.validation.rule
        assert each.zero.test.rule == taken == ExitRule("gate", taken.exits, (0.0,) * len(taken.thresholds))
        assert all(share > 0 for share in each.zero.validation.shares), "no gate is asked that lets nobody leave"
        assert each.frontier.validation.correct >= least
        assert each.frontier.validation.samples == validation.samples < each.frontier.test.samples + 1
        assert each.frontier.test.rule == each.frontier.validation.rule


def test_contenders_are_counted_over_the_same_images(found):
    (with_gates, _), _ = found
    contenders = with_gates.contenders
    assert set(contenders) == {PLAIN, ZERO, FRONTIER}
    assert (contenders[PLAIN].gained, contenders[PLAIN].lost) == (0, 0)
    chosen = {name: with_gates.alphas[at] for name, at in with_gates.chosen.items()}
    for name, point in ((ZERO, chosen[ZERO].zero.test), (FRONTIER, chosen[FRONTIER].frontier.test)):
        assert contenders[name].correct == point.correct
        assert contenders[name].gained - contenders[name].lost == point.correct - contenders[PLAIN].correct
    assert [each.images for each in with_gates.sets] == [3, 6, 12, 24]
    for contender in contenders.values():
        assert len(contender.correct_in_sets) == 4
        assert all(n <= s.images for n, s in zip(contender.correct_in_sets, with_gates.sets, strict=True))


def test_right_under_a_rule_is_what_the_deployed_network_gets_right(gated):
    rule = ExitRule("gate", (0, 2), (0.1,))
    images_NCHW = Normaliser.of(gated.dataset, "cpu")(gated.dataset.test.images_NCHW)
    class_N, _ = EarlyExitRuntime(gated.network, rule).classify_batch(images_NCHW)
    expected_N = (class_N == gated.dataset.test.labels_N).numpy()
    table = tabulate(gated.network, gated.dataset.test, Normaliser.of(gated.dataset, "cpu"))
    assert np.array_equal(right_under(rule, table), expected_N) and 0 < expected_N.sum() < len(expected_N)


def test_tables_from_what_was_found(found, gated):
    _, (with_gates, without) = found
    study = replace(gated.study, name="paper_gates-resnet50-smoke", enqueue={"EarlyExit": {}, "BranchyNet": {}})
    records = tuple(replace(gated.record, number=number, row=row) for number, row in enumerate(study.rows))
    finished = Finished(study, records, {0: with_gates, 1: without})
    full, empty = GATES.tables([finished]), GATES.tables([Finished(study)])
    assert [len(table.rows) for table in full] == [2, 13, 15, 3, 12]
    assert [len(table.rows) for table in empty] == [2, 13, 15, 1, 12]
    assert [table.columns for table in full] == [table.columns for table in empty]
    against, alphas, by_size, by_depth, by_rule = ([dict(zip(t.columns, r, strict=True)) for r in t.rows] for t in full)
    assert [row["rule"] for row in against] == [ZERO, FRONTIER]
    assert all(None not in [cell for name, cell in row.items() if "paper" not in name] for row in against)
    assert {row["alpha"]: row["accuracy % (paper)"] for row in alphas if row["accuracy % (paper)"]} == {
        **{0.8: 94.8, 0.85: 88.1}
    }
    assert by_size[-1]["images"] == with_gates["samples"] and by_size[0]["images"] == 3
    assert sum(row["leave here %"] for row in by_depth) == pytest.approx(100)
    named = {(row["trained as"], row["rule"]): row for row in by_rule}
    exact, branchy = named["EarlyExit", RULE_LABELS["exact"]], named["BranchyNet", RULE_LABELS["entropy_grid"]]
    assert 0 < exact["cost % there, of 75"] < 85 and branchy["accuracy % at 75 % of the cost"].value > 0


@pytest.mark.parametrize(("lost", "enough"), [(0, True), (2, True), (8, False), (40, False)])
def test_accurate_enough_leaves_no_doubt(lost, enough):
    """Eight of a thousand wrong are within a point; their interval is not."""
    logits_NKC = np.zeros((1000, 2, 2), np.float32)
    logits_NKC[:, :, 0] = 1
    logits_NKC[:lost, 0] = [0, 1]
    table = ExitTable(logits_NKC, np.zeros(1000, np.int64))
    cost = NetworkCost((SegmentCost("a", 1, 1), SegmentCost("b", 1, 1)), (SegmentCost("c", 1, 1),) * 2, (0, 1))
    point = evaluate(table, ExitRule("margin", (0,), ()), Profile(cost))
    assert point.correct == 1000 - lost
    assert accurate_enough(point, table) is enough
