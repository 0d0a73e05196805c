import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from raises import raises_code

from searchlab.deploy.scores import SCORE_FUNCTIONS, score_functions
from searchlab.exits.scores import GATE, SCORES

logits_NC = st.tuples(st.integers(1, 5), st.integers(2, 12)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-60, 60, width=32))
)


def test_the_deployed_scores_are_those_of_the_exit_table():
    assert SCORE_FUNCTIONS.keys() == SCORES.keys()


@pytest.mark.parametrize("name", SCORES)
@given(logits=logits_NC)
def test_a_deployed_score_equals_the_exit_tables(name, logits):
    deployed = SCORE_FUNCTIONS[name](torch.from_numpy(logits)).numpy()
    assert deployed.shape == logits.shape[:1]
    np.testing.assert_allclose(deployed, SCORES[name](logits[:, None])[:, 0], rtol=0, atol=1e-6)


def test_functions_are_found_by_name_the_gates_too():
    found = score_functions((GATE, "margin"))
    assert list(found) == [GATE, "margin"] and found["margin"] is SCORE_FUNCTIONS["margin"]
    assert found[GATE](torch.tensor([[0.5], [-2.0]])).tolist() == [0.5, -2.0]
    with raises_code("unknown-score", value="luck", mentions=f"known: {', '.join(sorted([*SCORES, GATE]))}"):
        score_functions(["luck"])
