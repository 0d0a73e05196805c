"""Scores: the certainty of an exit about a sample; higher is more certain. Shapes: N samples, K exits, C classes.

A new score is one function and one line in SCORES. All are computed in float64, where softmax saturates later. The
score "gate" is not computed from logits: it is the logit of a learned gate (paper 001, section 4).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searchlab.errors import UserError, unknown
from searchlab.user_file import is_file_name

Logits = NDArray[np.floating]
"""logits_NKC."""

Scores = NDArray[np.float64]
"""score_NK."""

Score = Callable[[Logits], Scores]


def _log_softmax(logits_NKC: Logits) -> NDArray[np.float64]:
    shifted = logits_NKC.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def max_softmax(logits_NKC: Logits) -> Scores:
    """Returns the highest softmax probability (Hendrycks and Gimpel 2017)."""
    return np.asarray(np.exp(_log_softmax(logits_NKC).max(axis=-1)))


def max_logit(logits_NKC: Logits) -> Scores:
    """Returns the highest raw logit (paper 000)."""
    return np.asarray(logits_NKC.max(axis=-1).astype(np.float64))


def margin(logits_NKC: Logits) -> Scores:
    """Returns the difference of the two highest softmax probabilities."""
    probability = np.exp(_log_softmax(logits_NKC))
    top_two = np.partition(probability, -2, axis=-1)[..., -2:]
    return np.asarray(top_two[..., 1] - top_two[..., 0])


def entropy(logits_NKC: Logits) -> Scores:
    """Returns minus the entropy of softmax in nats (BranchyNet, Teerapittayanon et al. 2016): 0 is certain."""
    log_probability = _log_softmax(logits_NKC)
    return np.asarray((np.exp(log_probability) * log_probability).sum(axis=-1))


SCORES: dict[str, Score] = {
    "max_softmax": max_softmax,
    "max_logit": max_logit,
    "margin": margin,
    "entropy": entropy,
}
"""Name to score, of those that are computed from the logits."""

OWN_SCORES: dict[str, Score] = {}
"""Scores from users' files, registered when a study that names them runs (`deploy.own_scores`)."""

GATE = "gate"
"""Name of the score of learned gates: the gate's logit. In the paper, samples leave at 0 or more."""


def name_of(score: str) -> str:
    """Returns the name of a score in rules and tables: of a user's file the name without ".py"."""
    return Path(score).stem if is_file_name(score) else score


def score_named(name: str) -> Score:
    """Returns the score of that name.

    Raises:
        UserError: the name is unknown.
    """
    known = SCORES | OWN_SCORES
    if name not in known:
        raise unknown("score", name, known)
    return known[name]


def available_scores(scores: Sequence[str], gated: bool) -> tuple[str, ...]:
    """Returns the scores to search for a network: the study's, "gate" only with gates.

    Raises:
        UserError: the study names "gate" alone, and the network has no gates.
    """
    others = tuple(name_of(score) for score in scores if score != GATE)
    if not others and not gated:
        raise UserError(
            "no-gates", "the network has no gates: another score is needed", where="Study.scores", value=GATE
        )
    return (*others, GATE) if gated else others
