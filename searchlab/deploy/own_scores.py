"""Scores from a user's file: `score` in numpy for the search, `score_torch` for the routed network.

Shape suffixes: N samples, K exits, C classes.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from searchlab.deploy.scores import OWN_FUNCTIONS, ScoreFunction
from searchlab.errors import UserError
from searchlab.exits.scores import GATE, OWN_SCORES, SCORES, Logits, Score, Scores, name_of
from searchlab.study import Study
from searchlab.user_file import FUNCTIONS, UserFile, blamed, file_named, function_of, is_file_name

SEARCHED, ROUTED = FUNCTIONS["score"], "score_torch"
"""The functions of a file: logits_NKC to score_NK in numpy, logits_NC to score_N in torch."""

SAMPLES, EXITS, CLASSES = 64, 3, 10
"""Shape of the synthetic logits on which the two functions are compared."""

RELATIVE, ABSOLUTE = 1e-4, 1e-5
"""Tolerances of the comparison, from the precision of float32."""


def use_scores(study: Study) -> None:
    """Registers the scores of a study's files in this process, under the file names without ".py".

    Raises:
        UserError: a file does not run or lacks a function, its functions differ, or its name is that of another score.
    """
    names = [name for name in study.scores if is_file_name(name)]
    taken = [*SCORES, GATE]
    for name in names:
        file = file_named("score", name, study.files)
        if name_of(name) in taken:
            what, allowed = "the name is that of another score", f"rename the file; taken: {', '.join(taken)}"
            raise UserError("duplicate-name", what, where=file.place, value=name_of(name), allowed=allowed)
        taken.append(name_of(name))
        OWN_SCORES[name_of(name)], OWN_FUNCTIONS[name_of(name)] = _functions(file)


@cache
def _functions(file: UserFile) -> tuple[Score, ScoreFunction]:
    searched, routed = function_of(file, SEARCHED), function_of(file, ROUTED)

    def score(logits_NKC: Logits) -> Scores:
        with blamed(file, f"{SEARCHED}()"):
            score_NK = np.asarray(searched(logits_NKC), dtype=np.float64)
        return _checked(score_NK, logits_NKC.shape[:-1], file, SEARCHED)

    _compare(score, routed, file)
    return score, routed


def _compare(score: Score, routed: ScoreFunction, file: UserFile) -> None:
    """Raises UserError if the two functions differ on synthetic logits of low to high confidence."""
    random = np.random.default_rng(0)
    scale_N11 = np.geomspace(0.1, 30, SAMPLES)[:, None, None]
    logits_NKC = (random.normal(size=(SAMPLES, EXITS, CLASSES)) * scale_N11).astype(np.float32)
    score_NK = score(logits_NKC)
    with blamed(file, f"{ROUTED}()"):
        routed_KN = [torch.as_tensor(routed(torch.from_numpy(logits_NKC[:, k]))) for k in range(EXITS)]
        columns = [each_N.detach().double().numpy() for each_N in routed_KN]
    for each_N in columns:
        _checked(each_N, (SAMPLES,), file, ROUTED)
    routed_NK = np.stack(columns, axis=1)
    apart_NK = np.abs(score_NK - routed_NK) - RELATIVE * np.abs(score_NK)
    worst = int(apart_NK.argmax())
    if apart_NK.flat[worst] > ABSOLUTE:
        value = f"{score_NK.flat[worst]:.6g} and {routed_NK.flat[worst]:.6g}"
        what = f"{SEARCHED}() and {ROUTED}() return different scores for the same logits"
        allowed = "they must return the same score"
        raise UserError("invalid-score", what, where=file.place, value=value, allowed=allowed)


def _checked(score: NDArray[np.float64], shape: tuple[int, ...], file: UserFile, function: str) -> NDArray[np.float64]:
    if score.shape != shape:
        what, allowed = f"{function}() returned an array of another shape", f"one score for each of {shape}"
        raise UserError("invalid-score", what, where=file.place, value=score.shape, allowed=allowed)
    if not np.isfinite(score).all():
        raise UserError(
            "invalid-score",
            f"{function}() returned a score that is not finite",
            where=file.place,
            allowed="finite numbers",
        )
    return score
