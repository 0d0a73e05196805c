from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples
from raises import raises_code

from searchlab.architecture import ImageSpec, ResNet
from searchlab.candidate import Candidate, Exit, Gate, Head
from searchlab.deploy.runtime import EarlyExitRuntime
from searchlab.exits.evaluate import evaluate, route, scores_of
from searchlab.exits.scores import GATE, SCORES
from searchlab.exits.table import ExitTable
from searchlab.model.cost import network_cost
from searchlab.model.early_exit import build
from searchlab.operating_point import ExitRule
from searchlab.record import Profile

IMAGES = ImageSpec(1, 8, 8, 10)
CANDIDATE = Candidate(ResNet((2, 1), 4), (Exit(0, gate=Gate()), Exit(2, Head(dropout=0.5), gate=Gate(2))))
UNGATED = Candidate(ResNet((2, 1), 4), (Exit(0), Exit(2)))
SAMPLES = 24


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = build(CANDIDATE, IMAGES).eval()
    for gate in made.gates:
        # A gate that has learned nothing says the same of every image.
        torch.nn.init.normal_(gate.unit.linear.weight)
    return made


@pytest.fixture(scope="module")
def images_NCHW():
    return torch.randn(SAMPLES, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def table(network, images_NCHW):
    with torch.inference_mode():
        maps = network.maps(images_NCHW)
        logits_NKC, gates_NG = network.logits(maps).numpy(), network.gate_logits(maps).numpy()
    return ExitTable(logits_NKC, np.arange(SAMPLES) % 10, gates_NG)


def between_scores(score_N, share):
    """A threshold that no score is near, so that a last digit cannot decide."""
    ordered = np.concatenate(([score_N.min() - 1], np.sort(score_N), [score_N.max() + 1]))
    place = int(share * (len(ordered) - 2))
    return float((ordered[place] + ordered[place + 1]) / 2)


def expected(table, rule):
    exit_N = np.zeros(table.samples, dtype=int)
    for position, leaves in zip(rule.exits, route(scores_of(table, rule.score), rule), strict=True):
        exit_N[leaves] = position
    return table.logits_NKC[np.arange(table.samples), exit_N].argmax(axis=1), exit_N


@pytest.mark.parametrize("score", [*SCORES, GATE])
@examples(6)
@given(
    exits=st.sets(st.integers(0, 2), min_size=1),
    shares=st.lists(st.floats(0, 1), min_size=2, max_size=2),
)
def test_samples_leave_where_the_exit_table_says(network, images_NCHW, table, score, exits, shares):
    exits = tuple(sorted(exits))
    score_NK = scores_of(table, score)
    thresholds = tuple(between_scores(score_NK[:, k], share) for k, share in zip(exits[:-1], shares, strict=False))
    rule = ExitRule(score, exits, thresholds)
    runtime = EarlyExitRuntime(network, rule)
    class_N, exit_N = expected(table, rule)

    classes, positions = runtime.classify_batch(images_NCHW)
    np.testing.assert_array_equal(classes.numpy(), class_N)
    np.testing.assert_array_equal(positions.numpy(), exit_N)
    singly = [runtime.classify(image_CHW[None]) for image_CHW in images_NCHW]
    assert singly == list(zip(class_N.tolist(), exit_N.tolist(), strict=True))

    point = evaluate(table, rule, Profile(network_cost(CANDIDATE, IMAGES)))
    assert point.correct == int((classes.numpy() == table.labels_N).sum())
    assert point.shares == tuple(int((positions == exit).sum()) / SAMPLES for exit in exits)


def test_a_score_that_equals_its_threshold_leaves(network, images_NCHW):
    with torch.inference_mode():
        logits_NKC = network(images_NCHW[:1]).numpy()
    reached = float(SCORES["max_logit"](logits_NKC)[0, 0])
    assert EarlyExitRuntime(network, ExitRule("max_logit", (0, 2), (reached,))).classify(images_NCHW[:1])[1] == 0
    above = float(np.nextafter(reached, np.inf))
    assert EarlyExitRuntime(network, ExitRule("max_logit", (0, 2), (above,))).classify(images_NCHW[:1])[1] == 2


@contextmanager
def running(network):
    """The names of the parts that were run, each with how many samples."""
    ran = []
    parts = {f"stage {i}": part for i, part in enumerate(network.stages)}
    parts |= {f"head {i}": part for i, part in enumerate(network.heads)}
    parts |= {f"gate {i}": part for i, part in enumerate(network.gates)}
    hooks = [
        part.register_forward_hook(lambda module, inputs, output, name=name: ran.append((name, len(output))))
        for name, part in parts.items()
    ]
    try:
        yield ran
    finally:
        for hook in hooks:
            hook.remove()


@pytest.mark.parametrize("batch", [False, True])
def test_unused_parts_are_not_run(network, images_NCHW, batch):
    runtime = EarlyExitRuntime(network, ExitRule("max_softmax", (1, 2), (-1.0,)))
    with running(network) as ran:
        if batch:
            runtime.classify_batch(images_NCHW)
        else:
            runtime.classify(images_NCHW[:1])
    samples = len(images_NCHW) if batch else 1
    assert ran == [(name, samples) for name in ("stage 0", "stage 1", "stage 2", "head 1")]


def test_by_gate_only_the_head_of_the_exit_taken_is_run(network, images_NCHW):
    never, always = float("inf"), -1e9
    stages = [(f"stage {i}", 1) for i in range(4)]
    for thresholds, wanted in {
        (always, always): [stages[0], ("gate 0", 1), ("head 0", 1)],
        (never, always): [stages[0], ("gate 0", 1), *stages[1:3], ("gate 1", 1), ("head 1", 1)],
        (never, never): [stages[0], ("gate 0", 1), *stages[1:3], ("gate 1", 1), stages[3], ("head 2", 1)],
    }.items():
        runtime = EarlyExitRuntime(network, ExitRule(GATE, (0, 1, 2), thresholds))
        for run in (runtime.classify, runtime.classify_batch):
            with running(network) as ran:
                run(images_NCHW[:1])
            assert ran == wanted


def test_by_gate_the_last_exit_in_use_takes_every_remaining_sample(network, images_NCHW):
    runtime = EarlyExitRuntime(network, ExitRule(GATE, (0, 1), (float("inf"),)))
    with running(network) as ran:
        runtime.classify(images_NCHW[:1])
    assert [name for name, _ in ran] == ["stage 0", "gate 0", "stage 1", "stage 2", "head 1"]


def test_by_gate_a_head_runs_only_for_samples_that_leave_there(network, images_NCHW, table):
    threshold = between_scores(scores_of(table, GATE)[:, 0], 0.5)
    with running(network) as ran:
        _, exit_N = EarlyExitRuntime(network, ExitRule(GATE, (0, 2), (threshold,))).classify_batch(images_NCHW)
    left = int((exit_N == 0).sum())
    assert 0 < left < SAMPLES
    assert ("gate 0", SAMPLES) in ran and ("head 0", left) in ran and ("head 2", SAMPLES - left) in ran


def test_a_gate_that_equals_its_threshold_leaves_and_no_threshold_is_rounded(network, images_NCHW):
    with torch.inference_mode():
        reached = network.gate_logits(network.maps(images_NCHW[:1]))[0, 0].item()
    for threshold, exit in ((reached, 0), (float(np.nextafter(reached, np.inf)), 2)):
        runtime = EarlyExitRuntime(network, ExitRule(GATE, (0, 2), (threshold,)))
        assert runtime.classify(images_NCHW[:1])[1] == exit
        assert runtime.classify_batch(images_NCHW[:1])[1].tolist() == [exit]


def test_a_batch_shrinks_as_samples_leave(network, images_NCHW, table):
    sizes = []
    hook = network.heads[2].register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    threshold = between_scores(scores_of(table, "margin")[:, 0], 0.5)
    _, exit_N = EarlyExitRuntime(network, ExitRule("margin", (0, 2), (threshold,))).classify_batch(images_NCHW)
    hook.remove()
    assert sizes == [int((exit_N == 2).sum())] and 0 < sizes[0] < SAMPLES


def test_an_empty_batch_is_answered(network, images_NCHW):
    class_N, exit_N = EarlyExitRuntime(network, ExitRule("margin", (2,), ())).classify_batch(images_NCHW[:0])
    assert len(class_N) == len(exit_N) == 0
    class_N, exit_N = EarlyExitRuntime(network, ExitRule(GATE, (0, 2), (0.0,))).classify_batch(images_NCHW[:0])
    assert len(class_N) == len(exit_N) == 0


def test_a_network_in_training_is_put_into_eval_mode(images_NCHW):
    network = build(CANDIDATE, IMAGES).train()
    EarlyExitRuntime(network, ExitRule("margin", (2,), ()))
    assert not network.training


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        (ExitRule("sureness", (2,), ()), raises_code("unknown-score", value="sureness", mentions="margin")),
        (ExitRule("margin", (0, 3), (0.5,)), raises_code("unknown-exit", value=3, mentions="0 to 2")),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(network, rule, refused):
    with refused:
        EarlyExitRuntime(network, rule)


def test_a_rule_by_gate_needs_gates():
    with raises_code("no-gates", where="exit rule", value="gate", mentions="max_softmax"):
        EarlyExitRuntime(build(UNGATED, IMAGES), ExitRule(GATE, (0, 2), (0.0,)))
