import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raises import raises_code

from searchlab.exits.scores import GATE, SCORES, available_scores

Logits = st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=6)


def probabilities(logits: list[float]) -> list[float]:
    weights = [math.exp(x - max(logits)) for x in logits]
    return sorted(w / math.fsum(weights) for w in weights)


NAIVE = {
    "max_softmax": lambda logits: probabilities(logits)[-1],
    "max_logit": max,
    "margin": lambda logits: probabilities(logits)[-1] - probabilities(logits)[-2],
    "entropy": lambda logits: math.fsum(p * math.log(p) for p in probabilities(logits) if p > 0),
}


@pytest.mark.parametrize("name", NAIVE)
@given(logits=Logits)
def test_equals_its_definition(name: str, logits: list[float]):
    found = SCORES[name](np.asarray([[logits]], dtype=np.float32))
    assert found.shape == (1, 1) and found.dtype == np.float64
    assert found[0, 0] == pytest.approx(NAIVE[name](logits), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", SCORES)
def test_contract(name: str):
    rng = np.random.default_rng(0)
    logits_NKC = rng.normal(size=(37, 3, 10)).astype(np.float32)
    kept = logits_NKC.copy()
    score_NK = SCORES[name](logits_NKC)
    assert score_NK.shape == (37, 3) and score_NK.dtype == np.float64
    np.testing.assert_array_equal(logits_NKC, kept)
    # A sample's score does not depend on which others stand beside it: thresholds are compared across splits.
    np.testing.assert_array_equal(SCORES[name](logits_NKC[5:6]), score_NK[5:6])
    flat, peaked = np.zeros((1, 1, 10), np.float32), np.eye(10, dtype=np.float32)[:1, None] * 9
    assert SCORES[name](peaked) > SCORES[name](flat)


@pytest.mark.parametrize("name", SCORES)
def test_extreme_logits_stay_finite(name: str):
    most = np.finfo(np.float32).max
    extreme = np.asarray([[[most, -most, 0], [-most, -most, -most], [most, most, most]]], dtype=np.float32)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert np.isfinite(SCORES[name](extreme)).all()


def test_the_gate_is_searched_where_there_are_gates():
    assert GATE not in SCORES
    assert available_scores(("margin", "entropy"), gated=False) == ("margin", "entropy")
    assert available_scores(("margin", GATE, "entropy"), gated=False) == ("margin", "entropy")
    assert available_scores(("margin",), gated=True) == ("margin", GATE)
    assert available_scores((GATE, "margin"), gated=True) == ("margin", GATE)
    assert available_scores((GATE,), gated=True) == (GATE,)
    with raises_code("no-gates", where="Study.scores", value="gate"):
        available_scores((GATE,), gated=False)
