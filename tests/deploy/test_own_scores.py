import pickle

import numpy as np
import pytest
import torch
from raises import raises_code
from tiny import tiny_candidate, tiny_study

from searchlab.deploy.own_scores import use_scores
from searchlab.deploy.scores import OWN_FUNCTIONS, SCORE_FUNCTIONS, score_functions
from searchlab.exits.scores import OWN_SCORES, SCORES, available_scores, score_named
from searchlab.study import TrialSpec
from searchlab.trial import run_trial
from searchlab.user_file import UserFile

OWN = """import numpy as np
import torch

def score(logits_NKC):
    return {numpy}

def score_torch(logits_NC):
    return {torch}
"""
NUMPY, TORCH = "logits_NKC[..., 0] * 2.0", "logits_NC[:, 0] * 2.0"


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    OWN_SCORES.clear()
    OWN_FUNCTIONS.clear()


def use(numpy: str = NUMPY, torch: str = TORCH, name: str = "./mine.py", *others: str) -> None:
    text = OWN.format(numpy=numpy, torch=torch)
    files = tuple(UserFile(each, f"/away/{each}", text) for each in (name, *others))
    use_scores(tiny_study(scores=(name, *others, "margin"), files=files))


def test_a_score_in_a_file_of_ones_own_is_known_by_its_files_name_in_numpy_and_torch():
    use()
    logits = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    score_NK = score_named("mine")(logits)
    assert score_NK.dtype == np.float64
    np.testing.assert_allclose(score_NK, logits[..., 0] * 2)
    assert torch.equal(
        score_functions(["mine"])["mine"](torch.from_numpy(logits[:, 0])), torch.from_numpy(score_NK[:, 0]).float()
    )
    assert available_scores(("./mine.py", "margin"), gated=False) == ("mine", "margin")
    assert "mine" not in SCORES and "mine" not in SCORE_FUNCTIONS


def test_another_studys_score_of_the_same_name_takes_its_place():
    use()
    use("logits_NKC[..., 1]", "logits_NC[:, 1]")
    assert score_named("mine")(np.asarray([[[1.0, 7.0]]])) == 7


@pytest.mark.parametrize(
    ("numpy", "torch", "refused"),
    [
        (
            NUMPY,
            "logits_NC[:, 0] * 2.01",
            raises_code("invalid-score", where="/away/mine.py", mentions="score_torch"),
        ),
        (
            NUMPY,
            "logits_NC[:, :2]",
            raises_code("invalid-score", where="/away/mine.py", value=(64, 2), mentions="score_torch"),
        ),
        ("logits_NKC.max()", TORCH, raises_code("invalid-score", where="/away/mine.py", value=())),
        ("logits_NKC[..., 0] / 0", TORCH, raises_code("invalid-score", where="/away/mine.py")),
        (NUMPY, "logits_NC[:, 0] / 0", raises_code("invalid-score", where="/away/mine.py", mentions="score_torch")),
        ("1 / 0", TORCH, raises_code("user-code-raised", where="/away/mine.py:5", mentions="ZeroDivisionError")),
        (
            NUMPY,
            "1 / 0",
            raises_code("user-code-raised", where="/away/mine.py:8", mentions=["score_torch", "ZeroDivisionError"]),
        ),
        (NUMPY, "'sure'", raises_code("user-code-raised", where="/away/mine.py", mentions="score_torch")),
        ("'sure'", TORCH, raises_code("user-code-raised", where="/away/mine.py", mentions="ValueError")),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_two_functions_that_do_not_agree_are_refused_in_one_line(numpy, torch, refused):
    with refused as raised:
        use(numpy, torch)
    assert "\n" not in str(raised.value)
    assert not OWN_SCORES and not OWN_FUNCTIONS


@pytest.mark.parametrize("name", ["./margin.py", "./gate.py", "/some/where/max_logit.py"])
def test_a_file_named_after_a_built_in_score_is_refused(name):
    with raises_code("duplicate-name", value=name.rpartition("/")[2].removesuffix(".py")):
        use(name=name)


def test_two_files_of_one_name_are_refused():
    with raises_code("duplicate-name", where="/away/other/mine.py", value="mine"):
        use(NUMPY, TORCH, "./mine.py", "other/mine.py")


@pytest.mark.parametrize("left", ["score", "score_torch"])
def test_a_file_without_one_of_the_two_functions(left):
    text = OWN.format(numpy=NUMPY, torch=TORCH).replace(f"def {left}(", "def other(")
    with raises_code("missing-function", where="/away/mine.py", mentions=f"{left}()"):
        use_scores(tiny_study(scores=("mine.py",), files=(UserFile("mine.py", "/away/mine.py", text),)))


@pytest.mark.slow
def test_a_worker_gets_a_score_with_its_trial_and_needs_no_file(digits):
    """As on a node of a cluster: nothing but the pickled spec comes there."""
    file = UserFile("./mine.py", "/away/mine.py", OWN.format(numpy=NUMPY, torch=TORCH))
    study = tiny_study("accuracy", "latency_ms", epochs=1, scores=("./mine.py",), files=(file,))
    spec = pickle.loads(pickle.dumps(TrialSpec(0, tiny_candidate(), study)))
    assert not OWN_SCORES
    record = run_trial(spec, digits)
    assert record.state == "complete" and list(record.latency.segments.decision_ms) == ["mine"]
    assert {point.rule.score for point in record.frontier.points} == {"mine"}
