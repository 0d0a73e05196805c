"""What a training minimises.

Shape suffixes: N images, K exits, C classes.
"""

import torch
from torch.nn import functional as F


def exits_cross_entropy(
    logits_NKC: torch.Tensor, labels_N: torch.Tensor, weights_K: torch.Tensor, label_smoothing: float
) -> torch.Tensor:
    """Weighted mean of the exits' cross-entropies (BranchyNet, section III-B: the joint loss), a scalar.

    The weights are divided by their sum, so that the loss of one exit and of many call for the same learning rate.
    """
    images, exits, _ = logits_NKC.shape
    losses = F.cross_entropy(
        logits_NKC.float().flatten(0, 1),
        labels_N.repeat_interleave(exits),
        reduction="none",
        label_smoothing=label_smoothing,
    )
    return losses.view(images, exits).mean(dim=0) @ (weights_K / weights_K.sum())
