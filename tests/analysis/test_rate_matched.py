from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raises import raises_code
from tiny import tiny_candidate, tiny_study

from searchlab.analysis.rate_matched import at_same_shares, readings_of
from searchlab.artefacts import load_network
from searchlab.data.batches import Normaliser
from searchlab.exits.evaluate import evaluate, route, scores_of
from searchlab.exits.table import load_table
from searchlab.exits.tabulate import tabulate
from searchlab.operating_point import ExitRule, OperatingPoint
from searchlab.record import Profile
from searchlab.study import TrialSpec
from searchlab.trial import run_trial


@given(st.integers(0, 1000), st.lists(st.integers(1, 20), min_size=1, max_size=4), st.integers(0, 3))
def test_as_many_leave_at_every_exit(seed, counts, skipped):
    """Whatever the scores; exits that the rule does not use are of no matter."""
    samples, exits = sum(counts), tuple(range(skipped, skipped + len(counts)))
    score_NK = np.random.default_rng(seed).normal(size=(samples, skipped + len(counts)))
    rule = ExitRule("margin", exits, (0.5,) * (len(exits) - 1))
    shares = tuple(count / samples for count in counts)
    point = OperatingPoint(rule, samples, samples, shares, tuple(counts), macs=1.0, params=1)
    again = at_same_shares(score_NK, point)
    assert (again.score, again.exits) == (rule.score, rule.exits)
    assert [int(leaves.sum()) for leaves in route(score_NK, again)] == counts


def test_samples_that_tie_leave_together():
    score_NK = np.asarray([[1.0, 0], [1.0, 0], [1.0, 0], [0.2, 0]])
    point = OperatingPoint(ExitRule("margin", (0, 1), (0.9,)), 4, 4, (0.25, 0.75), (1, 3), macs=1.0, params=1)
    assert [int(leaves.sum()) for leaves in route(score_NK, at_same_shares(score_NK, point))] == [3, 1]


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """A record, and one of another seed."""
    folder = tmp_path_factory.mktemp("trained")
    candidate = tiny_candidate(6, learning_rate=0.1, batch_size=64)
    return [
        run_trial(TrialSpec(seed, candidate, tiny_study(epochs=1), seed, folder / str(seed)), digits) for seed in (0, 1)
    ]


@pytest.mark.slow
def test_a_point_read_on_its_own_network_is_itself(trained, digits):
    record, points = trained[0], trained[0].frontier.points
    for reading, point in zip(readings_of(record, [record], digits, "cpu"), points, strict=True):
        assert (reading.trial, reading.rule) == (record.number, point.rule)
        assert replace(reading.validation, rule=point.rule) == point


@pytest.mark.slow
def test_on_another_network_the_cost_stays_and_the_test_split_is_read_by_the_same_rule(trained, digits):
    points, other = trained[0].frontier.points, trained[1]
    network = load_network(Path(other.directory), other.candidate, digits.spec)
    tables = (
        load_table(Path(other.directory) / "exit_table.npz"),
        tabulate(network, digits.test, Normaliser.of(digits, "cpu")),
    )
    found = readings_of(other, trained[:1], digits, "cpu")
    assert any(reading.rule != reading.validation.rule for reading in found)
    for reading, point in zip(found, points, strict=True):
        rule = reading.validation.rule
        assert reading.validation == evaluate(tables[0], rule, Profile(other.cost))
        assert reading.test == evaluate(tables[1], rule, Profile(other.cost))
        if len(np.unique(scores_of(tables[0], rule.score))) == 3 * tables[0].samples:
            assert reading.validation.macs == pytest.approx(point.macs)


def test_labels_have_no_say_in_the_thresholds(trained, digits, monkeypatch):
    other = trained[1]
    before = readings_of(other, trained[:1], digits, "cpu")
    shuffled = lambda path: replace(load_table(path), labels_N=load_table(path).labels_N[::-1].copy())  # noqa: E731
    monkeypatch.setattr("searchlab.analysis.rate_matched.load_table", shuffled)
    after = readings_of(other, trained[:1], digits, "cpu")
    assert [reading.validation.rule for reading in after] == [reading.validation.rule for reading in before]
    assert [reading.validation.correct for reading in after] != [reading.validation.correct for reading in before]


def test_weights_that_are_gone_are_named(trained, digits, tmp_path):
    with raises_code("artefact-unreadable"):
        readings_of(replace(trained[0], directory=str(tmp_path)), trained, digits, "cpu")
