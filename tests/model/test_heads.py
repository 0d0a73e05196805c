"""Gates: what they see, and the form in which they are deployed."""

import torch

from searchlab.candidate import Gate
from searchlab.model.heads import build_gate


def learned_gate():
    """One that has seen maps with a mean and a spread of their own."""
    torch.manual_seed(0)
    gate = build_gate(Gate(2), 3).train()
    for _ in range(30):
        gate(5 + 0.1 * torch.randn(64, 3, 4, 4))
    torch.nn.init.normal_(gate.unit.linear.weight)
    return gate.eval()


def test_gates_see_standardised_inputs():
    gate = learned_gate()
    features_NF = gate.unit.norm(gate.seen(5 + 0.1 * torch.randn(4096, 3, 4, 4)))
    assert gate.unit.linear.in_features == features_NF.shape[1] == 12
    assert features_NF.mean(dim=0).abs().max() < 0.2 and (features_NF.std(dim=0) - 1).abs().max() < 0.2


def test_a_folded_gate_says_the_same_in_one_step_fewer():
    gate = learned_gate()
    images_NCHW = 5 + 0.1 * torch.randn(200, 3, 4, 4)
    before = gate(images_NCHW)
    folded = gate.folded()
    torch.testing.assert_close(folded(images_NCHW), before, atol=1e-3, rtol=1e-3)
    assert before.std() > 0.1
    assert not any(isinstance(module, torch.nn.BatchNorm1d) for module in folded.modules())
    assert torch.equal(gate(images_NCHW), before), "the gate itself is left as it is"


def test_a_gate_set_back_is_nearly_closed_as_it_was_at_first():
    gate, images_NCHW = learned_gate(), torch.randn(9, 3, 4, 4)
    assert gate(images_NCHW).abs().max() > 0
    gate.unit.reset()
    fresh = build_gate(Gate(2), 3).eval()
    assert torch.equal(gate(images_NCHW), fresh(images_NCHW)) and len(set(gate(images_NCHW)[:, 0].tolist())) == 1
    assert 0 < torch.sigmoid(gate(images_NCHW)[0]) < 0.3
    assert all(torch.equal(fresh.state_dict()[name], value) for name, value in gate.state_dict().items())
