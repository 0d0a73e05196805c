import math
from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import pytest
from fake_records import fake_record, fake_study
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from searchlab.front.points import study_front
from searchlab.front.replicates import Mean, Reading, Replicate, optimism, over_seeds, reach, repeated, stratified

shares = st.floats(0.3, 0.7)
seeds = st.lists(shares, min_size=3, max_size=6)


def trial(number: int):
    """A record whose points have rules that differ, as those of a frontier do."""
    record = fake_record(number)
    points = {point.rule: point for point in record.frontier.points}
    return replace(record, frontier=replace(record.frontier, points=tuple(points.values())))


def readings(record, lost: int, test_lost: int) -> tuple[Reading, ...]:
    """Every point of the trial, with so many fewer samples right."""
    return tuple(
        Reading(record.number, p.rule, replace(p, correct=p.correct - lost), replace(p, correct=p.correct - test_lost))
        for p in record.frontier.points
    )


def made(record, *losses: tuple[int, int]) -> list[Replicate]:
    runs = enumerate(losses, start=1)
    return [
        Replicate(record.number, run, replace(record, number=100 + run), readings(record, *each)) for run, each in runs
    ]


@given(seeds)
def test_the_interval_is_that_of_a_t_distribution(values):
    found = over_seeds(values)
    assert found.value == pytest.approx(np.mean(values))
    if max(values) - min(values) > 1e-6:
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        assert found.interval == pytest.approx((max(0, low), high))


def test_an_interval_is_cut_to_what_is_possible():
    assert over_seeds([0.2, 0.9, 0.9], most=1.0).interval == (0.0, 1.0)
    assert over_seeds([0.2, 0.9, 0.9]).interval[1] > 1


def test_one_seed_has_no_interval():
    assert (over_seeds([0.5]).value, over_seeds([0.5]).interval) == (0.5, None)


def test_two_seeds_have_no_interval_but_both_ends():
    """They may all but agree by chance: [97.8, 97.8] of two seeds was no interval."""
    assert over_seeds([0.978, 0.9781]) == Mean(fmean([0.978, 0.9781]), None, (0.978, 0.9781))
    assert stratified([[0.978, 0.9781]], [1.0]).interval is None


@pytest.mark.parametrize("number", [1, 2, 3, 7])
def test_seeds_that_agree_have_no_interval_of_no_width(number):
    assert over_seeds([0.978] * number) == Mean(pytest.approx(0.978), None)
    assert stratified([[0.978] * number], [1.0]).interval is None


@pytest.mark.parametrize(("seeds", "deviations"), [(2, 8.985), (3, 2.484), (10, 0.7154)])
def test_how_far_an_interval_reaches(seeds, deviations):
    assert reach(seeds) == pytest.approx(deviations, abs=1e-3)


@given(seeds)
def test_one_group_alone_is_a_usual_mean(values):
    assert stratified([values], [1.0]).interval == pytest.approx(over_seeds(values, most=1.0).interval, abs=1e-7)


@given(seeds, seeds)
def test_two_groups_are_those_of_welch(first, second):
    """Half of a sum is half of a difference with one sign turned, for which scipy has Welch's interval."""
    if min(stdev(first), stdev(second)) < 1e-4:
        return
    found = stratified([first, second], [0.5, 0.5])
    interval = stats.ttest_ind(first, [-value for value in second], equal_var=False).confidence_interval(0.95)
    assert found.value == pytest.approx((fmean(first) + fmean(second)) / 2)
    assert found.interval == pytest.approx((max(0.0, interval.low / 2), min(1.0, interval.high / 2)))


def test_groups_without_spread_and_groups_of_one():
    assert stratified([[0.5, 0.5], [0.7, 0.7]], [0.5, 0.5]) == Mean(pytest.approx(0.6), None)
    assert stratified([[0.5, 0.6], [0.7]], [0.5, 0.5]).interval is None


def test_a_point_has_the_readings_of_its_rule_in_order_of_runs():
    records = [trial(0), trial(1)]
    front = study_front(fake_study(), records)
    replicates = [replicate for record in records for replicate in made(record, (2, 3), (4, 9))[::-1]]
    for entry in repeated(front, replicates):
        picked = entry.picked.point
        assert [reading.rule for reading in entry.readings] == [picked.rule] * 2
        assert [picked.correct - reading.validation.correct for reading in entry.readings] == [2, 4]
        assert [picked.correct - reading.test.correct for reading in entry.readings] == [3, 9]
        assert entry.values("accuracy", "test") == [reading.test.accuracy for reading in entry.readings]
        assert entry.mean("latency_ms", "test").value == pytest.approx(picked.latency_ms)


def test_a_point_that_no_replicate_knows_has_no_mean():
    (entry, *_) = repeated(study_front(fake_study(), [trial(0)]), made(trial(1), (2, 3)))
    assert entry.readings == () and entry.mean("accuracy", "test") is None


def test_a_latency_that_was_not_measured_has_no_mean():
    record = trial(0)
    unmeasured = [
        replace(r, readings=tuple(replace(x, test=replace(x.test, latency_ms=None)) for x in r.readings))
        for r in made(record, (1, 1), (2, 2))
    ]
    (entry, *_) = repeated(study_front(fake_study(), [record]), unmeasured)
    assert entry.mean("latency_ms", "test") is None and entry.mean("latency_ms", "validation") is not None


def test_optimism_by_hand():
    """Two candidates of different numbers of points and seeds, against the definition written out."""
    records = [trial(0), trial(3)]
    front = study_front(fake_study(), records, most=9)
    losses = {0: [(2, 3), (4, 9)], 3: [(10, 0), (30, 1), (20, 2)]}
    found = optimism(repeated(front, [each for r in records for each in made(r, *losses[r.number])]))
    picked = [point.point.accuracy for point in front]
    per_candidate = {n: [point.point.accuracy for point in front if point.record.number == n] for n in losses}
    assert all(per_candidate.values()) and found.points == len(front) and found.candidates == 2
    assert found.picked == pytest.approx(fmean(picked))
    expected, variance, below = 0.0, 0.0, 0.0
    for number, accuracies in per_candidate.items():
        weight, by_seed = len(accuracies) / len(front), [lost / 360 for lost, _ in losses[number]]
        expected += weight * fmean(by_seed)
        part = weight**2 * stdev(by_seed) ** 2 / len(by_seed)
        variance, below = variance + part, below + part**2 / (len(by_seed) - 1)
    half = stats.t.ppf(0.975, variance**2 / below) * math.sqrt(variance)
    assert found.lost.value == pytest.approx(expected)
    assert found.lost.interval == pytest.approx((max(found.picked - 1, expected - half), expected + half))
    assert found.validation.value == pytest.approx(found.picked - expected)


def test_nothing_is_known_without_readings():
    assert optimism(repeated(study_front(fake_study(), [trial(0)]), [])) is None


def test_points_of_two_trials_under_one_rule_are_told_apart():
    """Two trials of one candidate share its replicates, and the rule that uses the last exit alone."""
    record = trial(0)
    twin = replace(record, number=7)
    read = (*readings(record, 1, 1), *readings(twin, 5, 5))
    replicate = Replicate(0, 1, record, read)
    points = [*study_front(fake_study(), [record]), *study_front(fake_study(), [twin])]
    for entry in repeated(points, [replicate]):
        (reading,) = entry.readings
        assert entry.picked.point.correct - reading.test.correct == (5 if entry.picked.record.number == 7 else 1)
