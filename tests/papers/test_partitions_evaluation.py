"""What is found about a router and its experts, against naive twins, on a small network that was trained on digits."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from paper_parts import names
from tiny import tiny_study

from searchlab.architecture import Partitioned, ResNet
from searchlab.artefacts import load_network
from searchlab.candidate import Candidate, Exit, Training
from searchlab.data.batches import Normaliser
from searchlab.exits.table import ExitTable
from searchlab.exits.tabulate import tabulate
from searchlab.operating_point import ExitRule
from searchlab.papers.paper import Subject
from searchlab.serialization import from_plain
from searchlab.study import TrialSpec
from searchlab.trial import run_trial

PartitionFound, answered, evaluate_partitions, unpacked = names(
    "partitions", "evaluation", "PartitionFound", "answered", "evaluate_partitions", "unpacked"
)

GROUPS = ((0, 6, 8), (1, 7, 4), (9, 3, 5, 2))
SMALL = ResNet((1,), 8)
ROUTED = Partitioned(GROUPS, SMALL, (SMALL,) * 3, ResNet((1, 1), 8))


def subject_of(candidate, digits, folder) -> Subject:
    study = tiny_study(epochs=12, paper="paper_partitions")
    record = run_trial(TrialSpec(0, candidate, study, seed=1, directory=folder), digits)
    assert record.state == "complete", record.reason
    network = load_network(folder, candidate, digits.spec)
    return Subject(study, record, network, digits, torch.device("cpu"), 1)


@pytest.fixture(scope="module")
def routed(digits, tmp_path_factory):
    torch.set_num_threads(1)
    candidate = Candidate(ROUTED, (Exit(2),), training=Training(learning_rate=0.1, batch_size=64, ema=0.9))
    return subject_of(candidate, digits, tmp_path_factory.mktemp("routed"))


def test_a_rule_takes_the_logits_of_the_exit_it_leaves_at():
    logits_NKC = np.array([[[3, 0, 0], [0, 1, 0]], [[1, 1, 0], [0, 0, 1]]], dtype=np.float32)
    table = ExitTable(logits_NKC, np.array([0, 2]))
    answers = answered(table, ExitRule("max_logit", (0, 1), (2.0,)))
    assert answers.logits_NKC.tolist() == [[[3, 0, 0]], [[0, 0, 1]]] and answers.correct_NK.all()
    alone = answered(table, ExitRule("max_logit", (1,), ()))
    assert alone.logits_NKC[:, 0].tolist() == logits_NKC[:, 1].tolist()


@pytest.mark.slow
def test_the_point_that_was_best_on_the_validation_split_is_judged_on_the_test_split(routed):
    found = from_plain(PartitionFound, evaluate_partitions(routed))
    test = routed.dataset.test
    best = max(validation.correct for validation, _ in found.frontier)
    validation, tested = next(pair for pair in found.frontier if pair[0].correct == best)
    assert [point for point, _ in found.frontier] == list(routed.record.frontier.points)
    assert (found.correct, found.macs) == (tested.correct, tested.macs) and validation.rule == tested.rule
    assert found.samples == len(test) and found.correct <= found.correct_of_3 <= found.samples
    right_N = unpacked(found.right, found.samples)
    assert right_N.sum() == found.correct > 0.5 * found.samples
    table = tabulate(routed.network, test, Normaliser.of(routed.dataset, "cpu"))
    answers = answered(table, tested.rule)
    assert right_N.tolist() == (answers.logits_NKC[:, 0].argmax(axis=1) == test.labels_N.numpy()).tolist()


@pytest.mark.slow
def test_what_the_router_does_against_a_naive_twin(routed):
    # A router that doubts everything, so that hard and soft routing often differ.
    routed = replace(routed, network=deepcopy(routed.network))
    with torch.no_grad():
        for parameter in routed.network.heads[0].router.head.parameters():
            parameter.mul_(0.05)
    found = from_plain(PartitionFound, evaluate_partitions(routed)).routed
    head, normaliser, test = routed.network.heads[0], Normaliser.of(routed.dataset, "cpu"), routed.dataset.test
    with torch.inference_mode():
        images_NCHW = normaliser(test.images_NCHW)
        group_NG = head.router(images_NCHW).softmax(dim=1)
        within = [head.experts[group](images_NCHW).softmax(dim=1) for group in range(3)]
    sent, right, soft_alone, hard_alone = [0, 0, 0], 0, 0, 0
    for image, label in enumerate(test.labels_N.tolist()):
        group = int(group_NG[image].argmax())
        sent[group] += 1
        right += label in GROUPS[group]
        hard = GROUPS[group][int(within[group][image].argmax())]
        chances = {
            number: float(group_NG[image, g] * within[g][image, place])
            for g, members in enumerate(GROUPS)
            for place, number in enumerate(members)
        }
        soft = max(chances, key=chances.__getitem__)
        soft_alone += soft == label != hard
        hard_alone += hard == label != soft
    assert found.sizes == (3, 3, 4) and found.sent == tuple(sent) and found.router_correct == right
    assert abs(soft_alone - hard_alone) > 5
    assert abs(found.soft_alone - soft_alone) <= 1 and abs(found.hard_alone - hard_alone) <= 1


@pytest.mark.slow
def test_sizes_and_times(routed):
    found = from_plain(PartitionFound, evaluate_partitions(routed))
    assert found.params == routed.record.cost.params
    assert found.megabytes == pytest.approx(4 * found.params / 1e6, rel=0.2)
    assert found.train_seconds == routed.record.seconds.train and found.passes == 12
    assert found.train_images == len(routed.dataset.train) and found.training_macs > 0
    assert found.machine.startswith("cpu (1 thread)")


@pytest.mark.slow
def test_one_network_has_no_router(digits, tmp_path):
    candidate = Candidate(SMALL, training=Training(batch_size=64))
    subject = subject_of(candidate, digits, tmp_path)
    found = from_plain(PartitionFound, evaluate_partitions(replace(subject, threads=2)))
    assert found.routed is None and len(found.frontier) == 1 and found.passes == 12
    assert found.training_macs == len(digits.train) * 12 * subject.record.cost.macs
    assert found.machine.startswith("cpu (2 threads)")
