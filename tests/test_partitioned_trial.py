"""A partitioned network is trained, tabulated, searched, timed and routed like any other."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import tiny_study

from searchlab.architecture import Partitioned, ResNet
from searchlab.candidate import Candidate, Exit, Training
from searchlab.data.batches import Normaliser
from searchlab.deploy.runtime import EarlyExitRuntime
from searchlab.exits.tabulate import tabulate
from searchlab.model.early_exit import build
from searchlab.objective import accuracy, latency_ms
from searchlab.operating_point import ExitRule
from searchlab.study import TrialSpec
from searchlab.trial import run_trial

GROUPS = ((0, 6, 8), (1, 7, 4), (9, 3, 5, 2))
SMALL = ResNet((1,), 4)


def a_candidate(generalist=None, exits=(), routing="hard"):
    training = Training(learning_rate=0.1, batch_size=64, ema=0.9)
    return Candidate(Partitioned(GROUPS, SMALL, (SMALL,) * 3, generalist, routing), exits, training=training)


@pytest.mark.slow
@pytest.mark.parametrize("routing", ["hard", "soft"])
def test_a_trial_gives_a_frontier(digits, routing):
    study = replace(tiny_study(epochs=16), objectives=(accuracy, latency_ms))
    candidate = a_candidate(ResNet((1, 1), 4), (Exit(2),), routing)
    record = run_trial(TrialSpec(0, candidate, study), digits)
    assert record.state == "complete", record.reason
    assert len(record.latency.segments.heads_ms) == 3 and min(record.latency.segments.heads_ms) > 0
    assert record.latency.check is not None
    assert record.frontier.points[-1].accuracy > 0.5
    assert all(len(point.shares) == len(point.rule.exits) for point in record.frontier.points)


def test_without_a_generalist_there_is_one_point(digits):
    record = run_trial(TrialSpec(0, a_candidate(), tiny_study(epochs=2)), digits)
    assert [point.rule.exits for point in record.frontier.points] == [(0,)]
    assert record.frontier.points[0].macs == record.cost.macs and record.frontier.points[0].params == record.cost.params


def test_the_routed_network_agrees_with_the_exit_table(digits):
    """Experts answer where the margin reaches its threshold, else the generalist; one by one and in batches."""
    torch.manual_seed(0)
    network = build(a_candidate(SMALL), digits.spec).eval()
    normaliser, images = Normaliser.of(digits, "cpu"), digits.validation.images_NCHW[:40]
    table = tabulate(network, digits.validation, normaliser)
    probability = np.sort(np.exp(table.logits_NKC[:40, 0].astype(float)), axis=1)
    margin_N = probability[:, -1] - probability[:, -2]
    threshold = float(np.sort(margin_N)[19:21].mean())
    runtime = EarlyExitRuntime(network, ExitRule("margin", (0, 1), (threshold,)))
    class_N, exit_N = runtime.classify_batch(normaliser(images))
    assert exit_N.tolist() == (margin_N < threshold).astype(int).tolist() and 0 < exit_N.sum() < 40
    named = table.logits_NKC[:40].argmax(axis=2)
    assert class_N.tolist() == [named[row, exit] for row, exit in enumerate(exit_N.tolist())]
    one_by_one = [runtime.classify(image) for image in normaliser(images).split(1)]
    assert one_by_one == list(zip(class_N.tolist(), exit_N.tolist(), strict=True))


def test_a_partition_of_other_classes_has_failed_before_any_training(digits):
    groups = ((0, 1, 2), (3, 4, 5), (6, 7, 8))
    candidate = Candidate(replace(a_candidate().architecture, groups=groups))
    record = run_trial(TrialSpec(0, candidate, tiny_study()), digits)
    assert record.state == "failed" and record.epochs == 0
    assert record.reason.startswith("partition: class numbers in no group: [9]")
