"""Losses.

Shape suffixes: N images, K exits, C classes, G gates (one fewer than exits).
"""

import torch
from torch.nn import functional as F


def cross_entropies(logits_NKC: torch.Tensor, labels_N: torch.Tensor, label_smoothing: float = 0.0) -> torch.Tensor:
    """Returns the cross-entropy of every image at every exit, in float32; shape NK."""
    images, exits, _ = logits_NKC.shape
    losses = F.cross_entropy(
        logits_NKC.float().flatten(0, 1),
        labels_N.repeat_interleave(exits),
        reduction="none",
        label_smoothing=label_smoothing,
    )
    return losses.view(images, exits)


def exits_cross_entropy(
    logits_NKC: torch.Tensor, labels_N: torch.Tensor, weights_K: torch.Tensor, label_smoothing: float
) -> torch.Tensor:
    """Returns the weighted mean of the exits' cross-entropies (BranchyNet, section III-B: the joint loss), a scalar.

    The weights are divided by their sum, so that a suitable learning rate does not depend on the number of exits.
    """
    losses_NK = cross_entropies(logits_NKC, labels_N, label_smoothing)
    return losses_NK.mean(dim=0) @ (weights_K / weights_K.sum())


def leaving_probabilities(gates_NG: torch.Tensor) -> torch.Tensor:
    """Returns the probability of leaving at each exit if gate g opens with probability sigmoid(g); shape NK.

    reach_k g_k, with reach_k the product of 1 - g_j over the exits before k, and 1 for the last gate, which is not
    learned. Logarithms are added, because a product of saturated gates has no gradient.
    """
    zero_N1 = gates_NG.new_zeros((len(gates_NG), 1))
    log_reach_NK = torch.cat([zero_N1, F.logsigmoid(-gates_NG).cumsum(dim=1)], dim=1)
    return (log_reach_NK + torch.cat([F.logsigmoid(gates_NG), zero_N1], dim=1)).exp()


def expected_exit_loss(
    gates_NG: torch.Tensor, cross_entropies_NK: torch.Tensor, costs_K: torch.Tensor, alpha: float
) -> torch.Tensor:
    """Returns the expected error and cost under the gates' decisions, a scalar (paper 001).

    Mean over images of the sum over exits of reach_k g_k ((1 - alpha) CE_k + alpha c_k). `gates_NG` are logits,
    `costs_K` are on a scale from 0 to 1, as `alpha` is.
    """
    price_NK = (1 - alpha) * cross_entropies_NK + alpha * costs_K
    return (leaving_probabilities(gates_NG) * price_NK).sum(dim=1).mean()
