import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from searchlab.candidate import Candidate, Exit, Head, ImageSpec, ResNet
from searchlab.deploy.runtime import EarlyExitRuntime
from searchlab.errors import UserError
from searchlab.exits.evaluate import route
from searchlab.exits.scores import SCORES
from searchlab.model.early_exit import build
from searchlab.operating_point import ExitRule

IMAGES = ImageSpec(1, 8, 8, 10)
CANDIDATE = Candidate(ResNet((2, 1), 4), (Exit(0), Exit(2, Head(dropout=0.5))))
SAMPLES = 24


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build(CANDIDATE, IMAGES).eval()


@pytest.fixture(scope="module")
def images_NCHW():
    return torch.randn(SAMPLES, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def logits_NKC(network, images_NCHW):
    with torch.inference_mode():
        return network(images_NCHW).numpy()


def between_scores(score_N, share):
    """A threshold that no score is near, so that a last digit cannot decide."""
    ordered = np.concatenate(([score_N.min() - 1], np.sort(score_N), [score_N.max() + 1]))
    place = int(share * (len(ordered) - 2))
    return float((ordered[place] + ordered[place + 1]) / 2)


def expected(logits_NKC, rule):
    exit_N = np.zeros(len(logits_NKC), dtype=int)
    for position, leaves in zip(rule.exits, route(SCORES[rule.score](logits_NKC), rule), strict=True):
        exit_N[leaves] = position
    return logits_NKC[np.arange(len(logits_NKC)), exit_N].argmax(axis=1), exit_N


@settings(max_examples=12, deadline=None)
@given(
    score=st.sampled_from(sorted(SCORES)),
    exits=st.sets(st.integers(0, 2), min_size=1),
    shares=st.lists(st.floats(0, 1), min_size=2, max_size=2),
)
def test_samples_leave_where_the_exit_table_says(network, images_NCHW, logits_NKC, score, exits, shares):
    exits = tuple(sorted(exits))
    score_NK = SCORES[score](logits_NKC)
    thresholds = tuple(between_scores(score_NK[:, k], share) for k, share in zip(exits[:-1], shares, strict=False))
    rule = ExitRule(score, exits, thresholds)
    runtime = EarlyExitRuntime(network, rule)
    class_N, exit_N = expected(logits_NKC, rule)

    classes, positions = runtime.classify_batch(images_NCHW)
    np.testing.assert_array_equal(classes.numpy(), class_N)
    np.testing.assert_array_equal(positions.numpy(), exit_N)
    singly = [runtime.classify(image_CHW[None]) for image_CHW in images_NCHW]
    assert singly == list(zip(class_N.tolist(), exit_N.tolist(), strict=True))


def test_a_score_that_equals_its_threshold_leaves(network, images_NCHW):
    with torch.inference_mode():
        logits_NKC = network(images_NCHW[:1]).numpy()
    reached = float(SCORES["max_logit"](logits_NKC)[0, 0])
    assert EarlyExitRuntime(network, ExitRule("max_logit", (0, 2), (reached,))).classify(images_NCHW[:1])[1] == 0
    above = float(np.nextafter(reached, np.inf))
    assert EarlyExitRuntime(network, ExitRule("max_logit", (0, 2), (above,))).classify(images_NCHW[:1])[1] == 2


@pytest.mark.parametrize("batch", [False, True])
def test_what_is_not_needed_is_not_run(network, images_NCHW, batch):
    ran = []
    parts = {f"stage {i}": part for i, part in enumerate(network.stages)}
    parts |= {f"head {i}": part for i, part in enumerate(network.heads)}
    hooks = [
        part.register_forward_hook(lambda module, inputs, output, name=name: ran.append((name, len(output))))
        for name, part in parts.items()
    ]
    rule = ExitRule("max_softmax", (1, 2), (-1.0,))
    runtime = EarlyExitRuntime(network, rule)
    if batch:
        runtime.classify_batch(images_NCHW)
    else:
        runtime.classify(images_NCHW[:1])
    for hook in hooks:
        hook.remove()
    samples = len(images_NCHW) if batch else 1
    assert ran == [(name, samples) for name in ("stage 0", "stage 1", "stage 2", "head 1")]


def test_a_batch_shrinks_as_samples_leave(network, images_NCHW, logits_NKC):
    sizes = []
    hook = network.heads[2].register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    threshold = between_scores(SCORES["margin"](logits_NKC)[:, 0], 0.5)
    _, exit_N = EarlyExitRuntime(network, ExitRule("margin", (0, 2), (threshold,))).classify_batch(images_NCHW)
    hook.remove()
    assert sizes == [int((exit_N == 2).sum())] and 0 < sizes[0] < SAMPLES


def test_an_empty_batch_is_answered(network, images_NCHW):
    class_N, exit_N = EarlyExitRuntime(network, ExitRule("margin", (2,), ())).classify_batch(images_NCHW[:0])
    assert len(class_N) == len(exit_N) == 0


def test_a_network_in_training_is_put_into_eval_mode(images_NCHW):
    network = build(CANDIDATE, IMAGES).train()
    EarlyExitRuntime(network, ExitRule("margin", (2,), ()))
    assert not network.training


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (ExitRule("sureness", (2,), ()), ["unknown score", "'sureness'", "margin"]),
        (ExitRule("margin", (0, 3), (0.5,)), ["no such exit", "3", "0 to 2"]),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(network, rule, words):
    with pytest.raises(UserError) as error:
        EarlyExitRuntime(network, rule)
    assert all(word in str(error.value) for word in words)
