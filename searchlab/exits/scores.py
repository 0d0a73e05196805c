"""How sure an exit is of a sample. Higher is surer. Shapes: N samples, K exits, C classes.

A new score is one function and one line in SCORES. Everything is in float64, where softmax saturates later. The score
"gate" is the one that is not computed from logits: a learned gate gives it (paper 001, section 4), where there are any.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from searchlab.errors import UserError

Logits = NDArray[np.floating]
"""logits_NKC."""

Scores = NDArray[np.float64]
"""score_NK."""


def _log_softmax(logits_NKC: Logits) -> NDArray[np.float64]:
    shifted = logits_NKC.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def max_softmax(logits_NKC: Logits) -> Scores:
    """The highest softmax probability (Hendrycks and Gimpel 2017)."""
    return np.asarray(np.exp(_log_softmax(logits_NKC).max(axis=-1)))


def max_logit(logits_NKC: Logits) -> Scores:
    """The highest raw logit (paper 000)."""
    return np.asarray(logits_NKC.max(axis=-1).astype(np.float64))


def margin(logits_NKC: Logits) -> Scores:
    """The difference of the two highest softmax probabilities."""
    probability = np.exp(_log_softmax(logits_NKC))
    top_two = np.partition(probability, -2, axis=-1)[..., -2:]
    return np.asarray(top_two[..., 1] - top_two[..., 0])


def entropy(logits_NKC: Logits) -> Scores:
    """Minus the entropy of softmax in nats (BranchyNet, Teerapittayanon et al. 2016): 0 is certain, -log C is not."""
    log_probability = _log_softmax(logits_NKC)
    return np.asarray((np.exp(log_probability) * log_probability).sum(axis=-1))


SCORES: dict[str, Callable[[Logits], Scores]] = {
    "max_softmax": max_softmax,
    "max_logit": max_logit,
    "margin": margin,
    "entropy": entropy,
}
"""Name to score, of those that are computed from the logits."""

GATE = "gate"
"""The name of the score that learned gates give: the gate's logit; the paper leaves where it is at least 0."""


def available_scores(scores: Sequence[str], gated: bool) -> tuple[str, ...]:
    """The scores to search for one network: a study's; without "gate" where it has no gates, with it where it has.

    Raises:
        UserError: the study names "gate" alone, and the network has no gates.
    """
    others = tuple(score for score in scores if score != GATE)
    if not others and not gated:
        raise UserError("a network without gates needs another score", where="Study.scores", value=GATE)
    return (*others, GATE) if gated else others
