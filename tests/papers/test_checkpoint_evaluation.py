import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from paper_parts import names
from tiny import made_record, tiny_candidate, tiny_study

from searchlab.architecture import AlexNet
from searchlab.baselines.let_in import LET_IN_SCORE, let_in_points
from searchlab.data.batches import Normaliser
from searchlab.data.splits import limited
from searchlab.exits.evaluate import evaluate
from searchlab.exits.table import save_table
from searchlab.exits.tabulate import tabulate
from searchlab.measure.alternating import Turns
from searchlab.model.early_exit import build
from searchlab.operating_point import ExitRule
from searchlab.papers.paper import Subject
from searchlab.record import Profile
from searchlab.serialization import from_plain
from searchlab.study import TrialSpec
from searchlab.trial_files import TABLE

NetworkFound, evaluate_checkpoints, spread, timed_images, turns_for = names(
    "checkpoint", "evaluation", "NetworkFound", "evaluate_checkpoints", "spread", "timed_images", "turns_for"
)


@pytest.fixture
def subject(digits, tmp_path) -> Subject:
    torch.manual_seed(0)
    study, candidate = tiny_study(), tiny_candidate(4)
    record = replace(made_record(TrialSpec(3, candidate, study)), directory=str(tmp_path))
    network, dataset = build(candidate, digits.spec).eval(), limited(digits, 200)
    save_table(tabulate(network, dataset.validation, Normaliser.of(dataset, "cpu")), tmp_path / TABLE)
    return Subject(study, record, network, dataset, torch.device("cpu"), 1)


def test_thresholds_are_those_of_the_validation_split_and_are_judged_on_the_test_split(subject):
    plain = evaluate_checkpoints(subject)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    found = from_plain(NetworkFound, plain)
    splits = (subject.dataset.validation, subject.dataset.test)
    validation, test = (tabulate(subject.network, each, Normaliser.of(subject.dataset, "cpu")) for each in splits)
    base = test.correct_NK[:, -1].mean()
    assert found.accuracy.value == pytest.approx(100 * base)
    assert (found.train_images, found.validation_images, found.test_images) == (200, *map(len, splits))
    assert [(each.cut, each.stage) for each in found.checkpoints] == [(0, "stem"), (1, "layer1.block1")]
    for exit, checkpoint in enumerate(found.checkpoints):
        chosen = let_in_points(validation, exit, Profile(subject.record.cost))
        assert [each.target for each in checkpoint.targets] == [each.target for each in chosen]
        for target, each in zip(checkpoint.targets, chosen, strict=True):
            point = evaluate(test, ExitRule(LET_IN_SCORE, (exit, 2), (each.threshold,)), Profile(subject.record.cost))
            assert target.let_in.value == point.shares[0]
            assert target.accuracy_change.value == pytest.approx(100 * (point.accuracy - base))
            assert target.threshold == (each.threshold if np.isfinite(each.threshold) else None)


def test_nobody_let_in_changes_nothing_and_everybody_is_the_checkpoint_alone(subject):
    found = from_plain(NetworkFound, evaluate_checkpoints(subject))
    correct_K = tabulate(subject.network, subject.dataset.test, Normaliser.of(subject.dataset, "cpu")).correct_NK.mean(
        0
    )
    for exit, checkpoint in enumerate(found.checkpoints):
        nobody, everybody = checkpoint.targets[0], checkpoint.targets[-1]
        assert (nobody.target, nobody.let_in.value, everybody.target, everybody.let_in.value) == (0, 0, 1, 1)
        change = nobody.accuracy_change
        assert (change.low, change.value, change.high) == (0, 0, 0)
        assert everybody.accuracy_change.value == pytest.approx(100 * (correct_K[exit] - correct_K[-1]))


def test_little_is_timed_once_and_all_else_as_in_the_paper(subject, digits):
    found = from_plain(NetworkFound, evaluate_checkpoints(subject))
    assert (found.timing.images, found.timing.sets, found.timing.epochs) == (8, 1, 1)
    assert all(
        np.shape(target.base_ms) == np.shape(target.custom_ms) == (1, 1) and np.min(target.base_ms) > 0
        for checkpoint in found.checkpoints
        for target in checkpoint.targets
    )
    test = digits.test
    large = replace(
        digits, test=replace(test, images_NCHW=test.images_NCHW.repeat(2, 1, 1, 1), labels_N=test.labels_N.repeat(2))
    )
    assert turns_for(replace(subject, dataset=large)) == Turns(warm_up=2, sets=2, epochs=5)
    alexnet = replace(subject.record, candidate=replace(subject.record.candidate, architecture=AlexNet()))
    assert turns_for(replace(subject, dataset=large, record=alexnet)) == Turns(warm_up=2, sets=3, epochs=5)


@pytest.mark.parametrize(("images", "timed"), [(3, 3), (88, 8), (2_000, 40), (10_000, 200), (100_000, 200)])
def test_how_many_images_are_timed(images, timed):
    assert timed_images(images) == timed


@given(st.lists(st.floats(-9, 9), min_size=8, max_size=200), st.data())
def test_timed_images_leave_in_the_mix_of_all(scores, data):
    score_N = np.asarray(scores)
    count = data.draw(st.integers(1, len(scores)))
    chosen = spread(score_N, count)
    assert len(set(chosen)) == count
    for threshold in (-np.inf, *score_N, np.inf):
        of_all, of_them = (np.mean(every >= threshold) for every in (score_N, score_N[chosen]))
        assert abs(of_all - of_them) <= 1 / count
