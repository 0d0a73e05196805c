import pytest
import torch

from searchlab import routed
from searchlab.architecture import ResNet
from searchlab.candidate import Candidate, Exit, Gate
from searchlab.data.batches import Normaliser
from searchlab.exits.evaluate import evaluate, route, scores_of
from searchlab.exits.scores import GATE
from searchlab.exits.tabulate import tabulate
from searchlab.measure.latency import LatencyOptions
from searchlab.model.cost import network_cost
from searchlab.model.early_exit import build
from searchlab.operating_point import ExitRule, Frontier
from searchlab.record import TrialRecord
from searchlab.routed import check_point

CANDIDATE = Candidate(ResNet((1, 1), 4), (Exit(0, gate=Gate()), Exit(1, gate=Gate())))


@pytest.mark.parametrize("score", ["margin", GATE])
def test_a_point_is_checked_over_samples_that_leave_as_the_table_says(digits, monkeypatch, score):
    monkeypatch.setattr(routed, "CHECK_OPTIONS", LatencyOptions(budget_s=0, threads=1, fewest_rounds=2))
    seen = {}

    def spy(segments, run, samples_NCHW, predict, scores, options):
        seen["exits"] = [run(image_CHW[None])[1] for image_CHW in samples_NCHW]
        seen["scores"] = list(scores)
        return check_latency(segments, run, samples_NCHW, predict, scores, options)

    check_latency = routed.check_latency
    monkeypatch.setattr(routed, "check_latency", spy)
    torch.manual_seed(0)
    network, normaliser = build(CANDIDATE, digits.spec), Normaliser.of(digits, "cpu")
    for gate in network.gates:
        # A gate that has learned nothing says the same of every image.
        torch.nn.init.normal_(gate.unit.linear.weight)
    table = tabulate(network, digits.validation, normaliser)
    cost = network_cost(CANDIDATE, digits.spec)
    rule = ExitRule(score, (0, 1, 2), (float(scores_of(table, score)[:, 0].mean()), 0.0))
    point = evaluate(table, rule, cost)
    record = TrialRecord(0, "complete", CANDIDATE, 0, cost=cost, frontier=Frontier("validation", (point,)))
    check = check_point(record, network, table, digits.validation, normaliser)
    assert check.additive_ms > 0 and check.end_to_end_ms > 0
    chosen_N = torch.linspace(0, len(digits.validation) - 1, routed.CHECKED_IMAGES).long().numpy()
    leaving = route(scores_of(table.part(chosen_N), score), rule)
    assert [seen["exits"].count(exit) for exit in rule.exits] == [int(leaves.sum()) for leaves in leaving]
    assert seen["scores"] == [score] and len(set(seen["exits"])) > 1
