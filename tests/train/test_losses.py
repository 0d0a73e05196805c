import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from searchlab.train.losses import exits_cross_entropy


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


@settings(deadline=None)
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
