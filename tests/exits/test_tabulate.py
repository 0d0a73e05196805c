import numpy as np
import torch
from tiny import tiny_candidate

from searchlab.architecture import ResNet
from searchlab.candidate import Candidate, Exit, Gate
from searchlab.data.batches import Normaliser, evaluation_batches
from searchlab.exits.tabulate import tabulate
from searchlab.model.early_exit import build

GATED = Candidate(ResNet((1, 1), 4), (Exit(0, gate=Gate()), Exit(1, gate=Gate(2))))


def test_a_table_has_the_logits_of_every_exit_and_gate(digits):
    network = build(GATED, digits.spec).train()
    normaliser = Normaliser.of(digits, "cpu")
    table = tabulate(network, digits.validation, normaliser)
    assert not network.training
    with torch.inference_mode():
        maps = [network.maps(images_NCHW) for images_NCHW, _ in evaluation_batches(digits.validation, normaliser)]
        gates_NG = torch.cat([network.gate_logits(each) for each in maps]).numpy()
        logits_NKC = torch.cat([network.logits(each) for each in maps]).numpy()
    assert table.gates_NG is not None and table.gates_NG.shape == (len(digits.validation), 2)
    np.testing.assert_array_equal(table.gates_NG, gates_NG)
    np.testing.assert_array_equal(table.logits_NKC, logits_NKC)
    np.testing.assert_array_equal(table.labels_N, digits.validation.labels_N.numpy())


def test_a_network_without_gates_has_none(digits):
    table = tabulate(build(tiny_candidate(), digits.spec), digits.validation, Normaliser.of(digits, "cpu"))
    assert table.gates_NG is None and table.exits == 3
