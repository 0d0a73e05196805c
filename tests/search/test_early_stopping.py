from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import inf, prod
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples
from raises import raises_code
from tiny import tiny_study

from searchlab.objective import Objective, accuracy, latency_ms, macs, params
from searchlab.search.early_stopping import (
    EARLY_STOPPING,
    FIRST,
    RungReport,
    Stopper,
    default_rungs,
    rule_for,
    with_rungs,
)
from searchlab.search.rung_ranking import set_ranks
from searchlab.serialization import from_plain, to_plain

STOPPING = [name for name in EARLY_STOPPING if name != "none"]

Point = tuple[int, ...]
Trial = list[Point]
"""Points as whole numbers, each to be minimised; what is maximised is negative."""

# -- the definitions, word by word, in exact arithmetic


def in_units(trials: Sequence[Trial], objectives: Sequence[Objective]):
    """A function from a value and its objective's position to its place between 0 and 1."""
    points = [point for trial in trials for point in trial]

    def unit(value: int, m: int) -> Fraction:
        column = [point[m] for point in points]
        if objectives[m].direction == "maximize":
            best = max(-other for other in column)
            return 1 - Fraction(-value, best) if best else Fraction(1)
        return Fraction(value) / (value + Fraction(median(map(Fraction, column))))

    return unit


def naive_volume(points: Trial, unit) -> Fraction:
    """The cells between all values that occur, up to 1, whose lower corner some point reaches."""
    if not points:
        return Fraction(0)
    axes = [sorted({point[m] for point in points}) for m in range(len(points[0]))]
    place = [[*(unit(value, m) for value in axis), Fraction(1)] for m, axis in enumerate(axes)]
    total = Fraction(0)
    for cell in product(*(range(len(axis)) for axis in axes)):
        if any(all(p <= axes[m][i] for m, (p, i) in enumerate(zip(point, cell, strict=True))) for point in points):
            total += prod(place[m][i + 1] - place[m][i] for m, i in enumerate(cell))
    return total


def dominates(a: Point, b: Point) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def front_of(trials: Sequence[Trial]) -> Trial:
    points = [point for trial in trials for point in trial]
    return [point for point in points if not any(dominates(other, point) for other in points)]


def naive_depth(trial: Trial, trials: Sequence[Trial]) -> float:
    if not trial:
        return inf
    front = set(front_of(trials))
    if front & set(trial):
        return 0
    return 1 + naive_depth(trial, [other for other in trials if not front & set(other)])


def naive_distance(trial: Trial, trials: Sequence[Trial], unit) -> Fraction | float:
    def shrinks(point: Point) -> Fraction:
        """By so much all its values shrink until no point of the front is better in all of them."""
        behind = [[unit(p, m) - unit(f, m) for m, (p, f) in enumerate(zip(point, q, strict=True))] for q in front]
        return max(Fraction(0), *(min(differences) for differences in behind))

    front = front_of(trials)
    return min((shrinks(point) for point in trial), default=inf)


def naive_moasha(trials: Sequence[Trial], objectives: Sequence[Objective]) -> bool:
    if len(trials) <= 3:
        return True
    unit = in_units(trials, objectives)
    whole = naive_volume([point for trial in trials for point in trial], unit)

    def rank(position: int):
        others = [point for i, trial in enumerate(trials) if i != position for point in trial]
        trial = trials[position]
        depth, distance = naive_depth(trial, trials), naive_distance(trial, trials, unit)
        return (naive_volume(others, unit) - whole, depth, distance)

    own, *rest = (rank(position) for position in reversed(range(len(trials))))
    adds = own[0] < 0
    return adds or sum(other < own for other in rest) < max(1, len(trials) // 2)


def naive_median_hv(trials: Sequence[Trial], objectives: Sequence[Objective]) -> bool:
    unit = in_units(trials, objectives)
    *earlier, own = (naive_volume(trial, unit) for trial in trials)
    return len(earlier) < 3 or own >= median(earlier)


def naive_accuracy_asha(trials: Sequence[Trial], objectives: Sequence[Objective]) -> bool:
    column = [o.name for o in objectives].index("accuracy") if accuracy in objectives else 0
    *earlier, own = (min((point[column] for point in trial), default=inf) for trial in trials)
    return len(trials) <= 3 or sum(other < own for other in earlier) < max(1, len(trials) // 3)


NAIVE = {
    "none": lambda trials, objectives: True,
    "moasha": naive_moasha,
    "median-hv": naive_median_hv,
    "accuracy-asha": naive_accuracy_asha,
}

# -- random rungs and histories

OBJECTIVES = [(accuracy, macs), (latency_ms, accuracy), (accuracy, macs, params), (accuracy,), (macs,)]


def points_of(objectives: Sequence[Objective]):
    columns = [st.integers(1, 5) if o.direction == "minimize" else st.integers(-5, 0) for o in objectives]
    return st.lists(st.tuples(*columns), max_size=3)


def rungs(least: int = 1, most: int = 7):
    """Objectives, and what trials showed at a rung: coarse values, so that many are equal; some show nothing."""
    return st.sampled_from(OBJECTIVES).flatmap(
        lambda objectives: st.tuples(
            st.just(objectives), st.lists(points_of(objectives), min_size=least, max_size=most)
        )
    )


def arrays(trials: Sequence[Trial], objectives: Sequence[Objective], factors: Sequence[float] = ()):
    """Each trial as the rules take it, every objective in a unit of its own."""
    unit = np.asarray(factors or [1.0] * len(objectives))
    return [np.asarray(trial, dtype=np.float64).reshape(-1, len(objectives)) * unit for trial in trials]


@pytest.mark.parametrize("name", NAIVE)
@examples(150)
@given(rung=rungs())
def test_a_rule_is_its_definition(name, rung):
    objectives, trials = rung
    assert rule_for(name)(arrays(trials, objectives), objectives) is NAIVE[name](trials, objectives)


def histories():
    """Objectives, and what happens: a trial shows something at a rung (perhaps again), or it fails."""

    def events(objectives):
        shows = st.tuples(st.integers(0, 6), st.sampled_from([1, 2]), points_of(objectives))
        fails = st.tuples(st.integers(0, 6), st.none(), st.just([]))
        return st.tuples(st.just(objectives), st.lists(st.one_of(shows, shows, shows, fails), max_size=14))

    return st.sampled_from(OBJECTIVES).flatmap(events)


@pytest.mark.parametrize("name", sorted(NAIVE.keys() - {"none"}))
@examples(60)
@given(history=histories(), died_after=st.integers(0, 14))
def test_a_history_is_judged_by_what_was_shown_first_and_did_not_fail(name, history, died_after):
    """Rungs that are missing, trials that come twice, failures; and a process that dies on the way."""
    objectives, events = history
    stopper = Stopper(rule_for(name), objectives)
    seen: dict[int, dict[int, tuple[Trial, bool]]] = {1: {}, 2: {}}
    for step, (number, epoch, points) in enumerate(events):
        if step == died_after:
            kept = [from_plain(RungReport, to_plain(report)) for report in stopper.reports]
            stopper = Stopper(rule_for(name), objectives, kept)
        if epoch is None:
            stopper.forget(number)
            for rung in seen.values():
                rung.pop(number, None)
            continue
        rung = seen[epoch]
        if number not in rung:
            trials = [trial for trial, _ in rung.values()]
            rung[number] = (points, NAIVE[name]([*trials, points], objectives))
        report = stopper.judge(number, epoch, *arrays([points], objectives))
        assert (report.number, report.epoch, report.goes_on) == (number, epoch, rung[number][1])


# -- what every rule keeps

UNITS = st.lists(st.sampled_from([1e-6, 0.001, 1 / 3, 1.0, 7.7, 1e9]), min_size=3, max_size=3)


@pytest.mark.parametrize("name", EARLY_STOPPING)
@examples(60)
@given(rung=rungs(), units=UNITS, data=st.data())
def test_neither_units_nor_the_order_of_the_others_matter(name, rung, units, data):
    objectives, trials = rung
    others = data.draw(st.permutations(trials[:-1]))
    changed = arrays([*others, trials[-1]], objectives, units[: len(objectives)])
    before = [values.copy() for values in changed]
    assert rule_for(name)(changed, objectives) is rule_for(name)(arrays(trials, objectives), objectives)
    assert all(np.array_equal(a, b) for a, b in zip(changed, before, strict=True))


@pytest.mark.parametrize("name", EARLY_STOPPING)
@given(rung=rungs(most=FIRST))
def test_the_first_go_on_whatever_they_show(name, rung):
    objectives, trials = rung
    assert rule_for(name)(arrays(trials, objectives), objectives) is True


@pytest.mark.parametrize("name", EARLY_STOPPING)
@examples(40)
@given(rung=rungs())
def test_the_best_trial_continues_even_if_it_is_tied(name, rung):
    objectives, trials = rung
    best = [tuple(1 if o.direction == "minimize" else -5 for o in objectives)]
    assert rule_for(name)(arrays([*trials, best], objectives), objectives)
    assert rule_for(name)(arrays([best, *trials, best], objectives), objectives)


@pytest.mark.parametrize("name", STOPPING)
@pytest.mark.parametrize("weak", [[], [(5, -1)]], ids=["nothing", "little"])
def test_a_trial_worse_than_all_others_stops(name, weak):
    others = [[(1, -3), (2, -4)], [(2, -3)], [(3, -5)]]
    objectives = (macs, accuracy)
    assert not rule_for(name)(arrays([*others, weak], objectives), objectives)
    assert rule_for(name)(arrays([*[weak] * 5, weak], objectives), objectives), "all are equal"


def test_rules_differ_by_what_they_look_at():
    """A small network: worst in accuracy, small in volume, but nothing else is as cheap."""
    objectives, trials = (macs, accuracy), [[(8, -8)], [(8, -7)], [(9, -8)], [(9, -7)], [(1, -2)]]
    for name, goes_on in {"none": True, "moasha": True, "median-hv": False, "accuracy-asha": False}.items():
        assert EARLY_STOPPING[name](arrays(trials, objectives), objectives) == goes_on


# -- the ranking of sets


def order(trials: Sequence[Trial], objectives: Sequence[Objective], factors: Sequence[float] = ()) -> list[int]:
    """How many trials rank before each."""
    ranks = set_ranks(arrays(trials, objectives, factors), objectives)
    return [sum(other < rank for other in ranks) for rank in ranks]


@given(rungs(most=9), UNITS)
def test_the_ranking_is_the_same_in_other_units(rung, units):
    objectives, trials = rung
    assert order(trials, objectives, units[: len(objectives)]) == order(trials, objectives)


def test_ranks_compare_contribution_then_depth_then_distance():
    ahead, beside = [(2, -8), (4, -9)], [(1, -4)]
    within, behind, further = [(3, -8)], [(4, -8)], [(7, -3)]
    trials = [further, behind, ahead, within, beside]
    assert order(trials, (macs, accuracy)) == [4, 3, 0, 2, 1]
    same_depth = [[(2, -8)], [(9, -5)], [(3, -4)]]
    assert [rank[1] for rank in set_ranks(arrays(same_depth, (macs, accuracy)), (macs, accuracy))] == [0, 1, 1]
    assert order(same_depth, (macs, accuracy)) == [0, 2, 1]


def test_equal_trials_rank_equal_and_before_those_they_beat():
    assert order([[(2, -8)], [(3, -7)], [(2, -8)], []], (macs, accuracy)) == [0, 2, 0, 3]


# -- the state


def test_points_that_were_not_measured_are_left_out():
    stopper = Stopper(rule_for("moasha"), (accuracy, latency_ms))
    report = stopper.judge(0, 1, np.asarray([[-0.5, np.inf], [-0.25, 2.0]]))
    assert report == RungReport(0, 1, ((-0.25, 2.0),), True)
    assert stopper.judge(1, 1, np.asarray([[-0.5, np.inf]])).values == ()


def test_a_rule_that_there_is_not_lists_those_there_are():
    known = f"known: {', '.join(sorted(EARLY_STOPPING))}"
    with raises_code("unknown-early-stopping-rule", value="asha", mentions=known):
        rule_for("asha")


# -- rungs


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(1, ()), (2, ()), (3, (1,)), (5, (2,)), (9, (1, 3)), (14, (2, 5)), (30, (3, 10)), (81, (9, 27))],
)
def test_default_rungs(epochs, expected):
    assert default_rungs(epochs) == expected


@given(st.integers(1, 400), st.integers(2, 9))
def test_default_rungs_fit_a_study_and_leave_a_tenth_in_peace(epochs, eta):
    found = default_rungs(epochs, eta)
    assert tiny_study(epochs=epochs, rungs=found).rungs == found
    assert found or epochs < eta
    assert all(rung >= round(epochs / 10) for rung in found)


def test_only_a_study_that_stops_trials_and_names_no_rungs_gets_some():
    study = tiny_study(epochs=14)
    assert with_rungs(study) == study
    stops = replace(study, early_stopping="moasha")
    assert with_rungs(stops).rungs == (2, 5)
    assert with_rungs(replace(stops, rungs=(7,))).rungs == (7,)
