"""Torch versions of the scores in `exits.scores`, for one sample or a batch, on the device of the logits.

Shape suffixes: N samples, C classes. In float64, as the exit table's, so that a deployed network and the table agree.
"""

from collections.abc import Callable, Sequence

import torch

from searchlab.errors import unknown
from searchlab.exits.scores import GATE

ScoreFunction = Callable[[torch.Tensor], torch.Tensor]
"""logits_NC to score_N; for the score "gate", gate_N1 to score_N."""


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


def gate(gate_N1: torch.Tensor) -> torch.Tensor:
    """Returns score_N, the gate's logit unchanged: the conversion to float64 happens on the host, without a kernel."""
    return gate_N1[:, 0]


SCORE_FUNCTIONS: dict[str, ScoreFunction] = {
    "max_softmax": max_softmax,
    "max_logit": max_logit,
    "margin": margin,
    "entropy": entropy,
}
"""The same names as `exits.scores.SCORES`: logits_NC to score_N; higher is more certain."""

OWN_FUNCTIONS: dict[str, ScoreFunction] = {}
"""The same names as `exits.scores.OWN_SCORES`."""


def score_functions(names: Sequence[str]) -> dict[str, ScoreFunction]:
    """Returns the functions of some scores, "gate" among them.

    Raises:
        UserError: a score is unknown.
    """
    known = SCORE_FUNCTIONS | OWN_FUNCTIONS | {GATE: gate}
    for name in names:
        if name not in known:
            raise unknown("score", name, known, where="exit rule")
    return {name: known[name] for name in names}
