"""The scores of `exits.scores` for one sample or a batch, in torch, where the logits are.

Shape suffixes: N samples, C classes. In float64, as the exit table's, so that a deployed network and the table agree.
"""

from collections.abc import Callable

import torch


def max_softmax(logits_NC: torch.Tensor) -> torch.Tensor:
    """score_N, the highest softmax probability."""
    return logits_NC.double().softmax(dim=-1).amax(dim=-1)


def max_logit(logits_NC: torch.Tensor) -> torch.Tensor:
    """score_N, the highest raw logit."""
    return logits_NC.amax(dim=-1).double()


def margin(logits_NC: torch.Tensor) -> torch.Tensor:
    """score_N, the difference of the two highest softmax probabilities."""
    first_N, second_N = logits_NC.double().softmax(dim=-1).topk(2, dim=-1).values.unbind(dim=-1)
    return first_N - second_N


def entropy(logits_NC: torch.Tensor) -> torch.Tensor:
    """score_N, minus the entropy of softmax in nats."""
    log_probability_NC = logits_NC.double().log_softmax(dim=-1)
    return (log_probability_NC.exp() * log_probability_NC).sum(dim=-1)


SCORE_FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "max_softmax": max_softmax,
    "max_logit": max_logit,
    "margin": margin,
    "entropy": entropy,
}
"""The same names as `exits.scores.SCORES`: logits_NC to score_N, higher is surer."""
