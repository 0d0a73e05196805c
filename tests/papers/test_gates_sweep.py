import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from paper_parts import names, part

from searchlab.data.batches import Normaliser
from searchlab.exits.costs import exit_cost_macs
from searchlab.exits.evaluate import evaluate
from searchlab.exits.tabulate import tabulate
from searchlab.measure.device import this_machine
from searchlab.operating_point import Estimate, ExitRule
from searchlab.record import LatencyReport, Profile, Quantiles, SegmentLatency
from searchlab.train.context import batches_for
from searchlab.train.loop import BatchSource, Hooks, train
from searchlab.train.recipes import recipe_of

gates_sweep = part("gates", "sweep")
ALPHAS, GatesAlone, features_of, gates_phase, sweep = names(
    "gates", "sweep", "ALPHAS", "GatesAlone", "features_of", "gates_phase", "sweep"
)

AT_ZERO = ExitRule("gate", (0, 1, 2), (0.0, 0.0))


@pytest.fixture(autouse=True)
def float32(monkeypatch):
    """The same on every machine."""
    monkeypatch.setattr(gates_sweep, "has_bf16", lambda device: False)


def state(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def normaliser(subject):
    return Normaliser.of(subject.dataset, "cpu")


def test_gates_alone_say_what_they_say_in_the_network(gated):
    images_NCHW = normaliser(gated)(gated.dataset.test.images_NCHW[:50])
    alone, maps = GatesAlone(gated.network), gated.network.maps(images_NCHW)
    seen = alone.maps(features_of(gated.network, images_NCHW))
    torch.testing.assert_close(alone.gate_logits(seen), gated.network.gate_logits(maps))
    assert torch.equal(alone.logits(seen), gated.network.logits(maps))


def through_the_network(subject, alpha):
    """Gates that learn in the network itself, from its images: nothing is stored."""
    network, phase = copy.deepcopy(subject.network), gates_phase(subject)
    training = replace(subject.record.candidate.training, gate_loss_weight=alpha)
    for gate in network.gates:
        gate.unit.reset()
    split, seed = subject.dataset.train, subject.record.seed
    batches = batches_for(split, normaliser(subject), recipe_of(phase, training), seed)
    return train(network, (phase,), training, BatchSource(batches.epoch, batches.steps), Hooks(), bf16=False).network


def test_shared_features_teach_gates_what_the_network_would(gated):
    before = state(gated.network)
    (swept,) = sweep(gated, [0.7])
    twin, found = through_the_network(gated, 0.7), swept.put_into(gated.network)
    for name, tensor in state(twin.gates).items():
        torch.testing.assert_close(found.gates.state_dict()[name], tensor, atol=1e-4, rtol=1e-3)
    after = state(gated.network)
    assert all(torch.equal(before[name], after[name]) for name in before), "the trial's own gates are left alone"
    assert not torch.allclose(found.gates[0].unit.linear.weight, gated.network.gates[0].unit.linear.weight, atol=1e-3)


def test_tables_are_those_of_the_network_with_the_gates(gated):
    for swept in sweep(gated, [0.2, 0.9]):
        network = swept.put_into(gated.network)
        for table, split in ((swept.validation, gated.dataset.validation), (swept.test, gated.dataset.test)):
            expected = tabulate(network, split, normaliser(gated))
            np.testing.assert_allclose(table.logits_NKC, expected.logits_NKC, atol=1e-4)
            np.testing.assert_allclose(table.gates_NG, expected.gates_NG, atol=1e-4)
            assert np.array_equal(table.labels_N, expected.labels_N)


@pytest.mark.slow
def test_the_more_cost_counts_the_earlier_they_leave(gated):
    longer = replace(gated, study=replace(gated.study, epochs=60))
    swept = sweep(longer, [0.0, 0.65, 1.0])
    points = [evaluate(each.test, AT_ZERO, Profile(gated.record.cost)) for each in swept]
    costs = [point.macs for point in points]
    assert costs[0] >= costs[1] >= costs[2] and costs[0] > costs[2]
    assert points[2].shares[0] > 0.5 > points[0].shares[0], "where cost is all that counts, most leave at once"
    assert points[0].accuracy > points[2].accuracy
    again = sweep(longer, [0.65])[0]
    assert np.array_equal(again.test.gates_NG, swept[1].test.gates_NG), "no alpha depends on the ones before it"


def test_the_phase_is_the_trials_own_with_measured_costs_where_there_are_any(gated):
    phase = gates_phase(gated)
    macs_K = exit_cost_macs(gated.record.cost, range(3), "gate")
    assert (phase.learns, phase.epochs) == ("gates", 2)
    assert phase.exit_costs == pytest.approx(macs_K / macs_K.max())
    short = replace(gated, study=replace(gated.study, epochs=1))
    assert (gates_phase(short).learns, gates_phase(short).epochs) == ("gates", 1)
    segments = SegmentLatency((1.0, 2.0, 3.0), (0.5, 0.5, 0.5), {"gate": 0.25}, (0.25, 0.25))
    timed = Quantiles(1.0, 1.0, 1.0, 1.0, 1.0)
    machine = this_machine(torch.device("cpu"), 1)
    report = LatencyReport(machine, 1, segments, timed, "resnet8", timed, Estimate(1.0, 1.0, 1.0))
    measured = replace(gated, record=replace(gated.record, latency=report))
    assert gates_phase(measured).exit_costs == pytest.approx((2 / 7.5, 4.5 / 7.5, 1.0))


def test_alpha_is_dense_where_accuracy_fell():
    assert list(ALPHAS) == sorted(set(ALPHAS)) and {0.0, 0.8, 0.85, 1.0} <= set(ALPHAS)
