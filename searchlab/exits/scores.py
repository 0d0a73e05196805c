"""How sure an exit is of a sample. Higher is surer. Shapes: N samples, K exits, C classes.

A new score is one function and one line in SCORES. Everything is in float64, where softmax saturates later. The score
"gate" is the one that is not computed from logits: a learned gate gives it (paper 001, section 4), where there are any.
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


SCORES: dict[str, Score] = {
    "max_softmax": max_softmax,
    "max_logit": max_logit,
    "margin": margin,
    "entropy": entropy,
}
"""Name to score, of those that are computed from the logits."""

OWN_SCORES: dict[str, Score] = {}
"""The same, of files of the user's, once a study that names them is at work in this process (`deploy.own_scores`)."""

GATE = "gate"
"""The name of the score that learned gates give: the gate's logit; the paper leaves where it is at least 0."""


def name_of(score: str) -> str:
    """What exit rules and tables call a score of a study: a user's file by its name without ".py"."""
    return Path(score).stem if is_file_name(score) else score


def score_named(name: str) -> Score:
    """The score of that name.

    Raises:
        UserError: there is none.
    """
    known = SCORES | OWN_SCORES
    if name not in known:
        raise unknown("score", name, known)
    return known[name]


def available_scores(scores: Sequence[str], gated: bool) -> tuple[str, ...]:
    """The scores to search for one network: a study's; without "gate" where it has no gates, with it where it has.

    Raises:
        UserError: the study names "gate" alone, and the network has no gates.
    """
    others = tuple(name_of(score) for score in scores if score != GATE)
    if not others and not gated:
        raise UserError("a network without gates needs another score", where="Study.scores", value=GATE)
    return (*others, GATE) if gated else others
