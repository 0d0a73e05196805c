import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from searchlab.train.losses import exits_cross_entropy, expected_exit_loss, leaving_probabilities


def literally(logits_NKC, labels_N, weights_K, label_smoothing):
    """The joint loss, one exit and one image at a time."""
    total = 0.0
    for weight, logits_NC in zip(weights_K, logits_NKC.transpose(0, 1), strict=True):
        for logits_C, label in zip(logits_NC.tolist(), labels_N.tolist(), strict=True):
            classes, normaliser = len(logits_C), math.log(sum(math.exp(logit) for logit in logits_C))
            for index, logit in enumerate(logits_C):
                target = label_smoothing / classes + (1 - label_smoothing) * (index == label)
                total -= float(weight) * target * (logit - normaliser) / len(labels_N)
    return total / float(sum(weights_K))


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(2, 6)),
    st.lists(st.floats(0.1, 3), min_size=4, max_size=4),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.integers(0, 99),
)
def test_the_joint_loss_is_the_weighted_mean_over_exits_of_the_mean_over_images(shape, weights, smoothing, seed):
    generator = torch.Generator().manual_seed(seed)
    logits_NKC = 3 * torch.randn(shape, generator=generator)
    labels_N = torch.randint(shape[2], (shape[0],), generator=generator)
    weights_K = torch.tensor(weights[: shape[1]])
    found = exits_cross_entropy(logits_NKC, labels_N, weights_K, smoothing)
    assert found.shape == ()
    torch.testing.assert_close(
        float(found), literally(logits_NKC, labels_N, weights_K, smoothing), rtol=1e-4, atol=1e-5
    )


def test_only_the_ratio_of_the_weights_counts():
    logits_NKC, labels_N = torch.randn(6, 2, 5), torch.arange(6) % 5
    weights_K = torch.tensor([1.0, 0.25])
    one, other = (exits_cross_entropy(logits_NKC, labels_N, scale * weights_K, 0.1) for scale in (1, 8))
    torch.testing.assert_close(one, other)


def test_an_exit_without_weight_takes_no_part():
    logits_NKC = torch.randn(4, 2, 3, requires_grad=True)
    labels_N = torch.arange(4) % 3
    loss = exits_cross_entropy(logits_NKC, labels_N, torch.tensor([0.0, 1.0]), 0.0)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits_NKC[:, 1], labels_N))
    loss.backward()
    assert logits_NKC.grad is not None
    assert not logits_NKC.grad[:, 0].any()


def test_half_precision_logits_give_a_single_precision_loss():
    logits_NKC = torch.randn(4, 2, 3).bfloat16()
    assert exits_cross_entropy(logits_NKC, torch.zeros(4, dtype=torch.long), torch.ones(2), 0.0).dtype == torch.float32


def double_loop(gates_NG, cross_entropies_NK, costs_K, alpha):
    """Paper 001's expected loss as it stands, one exit of one image at a time."""
    total = torch.zeros((), dtype=gates_NG.dtype)
    for image in range(len(gates_NG)):
        reach = torch.ones((), dtype=gates_NG.dtype)
        for exit in range(len(costs_K)):
            gate = torch.sigmoid(gates_NG[image, exit]) if exit < gates_NG.shape[1] else torch.ones_like(reach)
            total = total + (1 - alpha) * reach * gate * cross_entropies_NK[image, exit]
            total = total + alpha * reach * gate * costs_K[exit]
            reach = reach * (1 - gate)
    return total / len(gates_NG)


@given(st.integers(1, 6), st.integers(1, 5), st.floats(0, 1), st.sampled_from([0.1, 3.0, 30.0]), st.integers(0, 99))
def test_the_expected_loss_is_the_literal_double_loop(images, exits, alpha, spread, seed):
    generator = torch.Generator().manual_seed(seed)
    gates_NG = (spread * torch.randn(images, exits - 1, generator=generator)).requires_grad_()
    cross_entropies_NK = 3 * torch.rand(images, exits, generator=generator)
    costs_K = torch.rand(exits, generator=generator).cumsum(0).clamp(max=1)
    found = expected_exit_loss(gates_NG, cross_entropies_NK, costs_K, alpha)
    literal = double_loop(gates_NG.double(), cross_entropies_NK.double(), costs_K.double(), alpha)
    assert found.shape == ()
    torch.testing.assert_close(found.double(), literal, rtol=0, atol=1e-6)
    if exits > 1:
        gradients = [torch.autograd.grad(loss, gates_NG)[0] for loss in (found, literal)]
        torch.testing.assert_close(*gradients, rtol=0, atol=1e-6)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=5))
def test_every_image_leaves_somewhere(gates):
    torch.testing.assert_close(leaving_probabilities(torch.tensor([gates])).sum(), torch.tensor(1.0))


@pytest.mark.parametrize("gate", [-80.0, -20.0, 0.0, 20.0, 80.0])
def test_a_saturated_gate_keeps_its_gradient(gate):
    """g (1 - g) times the difference in price, where 1 - g itself is 0 in float32."""
    gates_NG = torch.tensor([[gate]], requires_grad=True)
    expected_exit_loss(gates_NG, torch.tensor([[2.0, 0.5]]), torch.tensor([0.1, 1.0]), 0.0).backward()
    expected = math.exp(-abs(gate)) / (1 + math.exp(-abs(gate))) ** 2 * (2.0 - 0.5)
    assert gates_NG.grad is not None
    assert gates_NG.grad.item() == pytest.approx(expected, rel=1e-4, abs=1e-37)


def test_without_gates_the_expected_loss_is_that_of_the_final_head():
    loss = expected_exit_loss(torch.zeros(2, 0), torch.tensor([[1.0], [3.0]]), torch.tensor([1.0]), 0.25)
    assert loss.item() == 0.75 * 2.0 + 0.25
