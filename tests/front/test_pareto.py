from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples

from searchlab.front.pareto import closest_to_front, contributions, hypervolume, non_dominated, thin, values_of
from searchlab.objective import OBJECTIVES, accuracy, latency_ms, macs
from searchlab.operating_point import ExitRule, OperatingPoint

SIDE = 6


def rows(objectives: int, most: int = 25):
    row = st.lists(st.integers(0, SIDE), min_size=objectives, max_size=objectives)
    return st.lists(row, min_size=1, max_size=most).map(lambda found: np.asarray(found, dtype=np.float64))


any_rows = st.sampled_from([2, 3]).flatmap(rows)


def dominates(a, b) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


def naive_front(values) -> list[tuple[float, ...]]:
    found = {tuple(row) for row in values.tolist()}
    return sorted(row for row in found if not any(dominates(other, row) for other in found))


def naive_volume(values, reference) -> int:
    """Unit cubes below the reference whose lower corner some row reaches."""
    cells = product(*(range(int(r)) for r in reference))
    return sum(any(all(v <= c for v, c in zip(row, cell, strict=True)) for row in values) for cell in cells)


@given(any_rows)
def test_non_dominated_equals_its_definition(values):
    found = non_dominated(values)
    assert [tuple(row) for row in values[found].tolist()] == naive_front(values)
    for position in found:
        assert position == next(i for i, row in enumerate(values) if np.array_equal(row, values[position]))


@pytest.mark.parametrize("objectives", [2, 3])
def test_large_fronts_equal_the_definition(objectives):
    values = np.random.default_rng(0).integers(0, 40, (800, objectives)).astype(np.float64)
    assert [tuple(row) for row in values[non_dominated(values)].tolist()] == naive_front(values)


@pytest.mark.parametrize("objectives", [2, 3])
def test_empty_and_infinite(objectives):
    assert non_dominated(np.empty((0, objectives))).tolist() == []
    unmeasured = np.full((2, objectives), np.inf)
    unmeasured[1, 0] = 1
    assert non_dominated(unmeasured).tolist() == [1]
    assert non_dominated(unmeasured[:1]).tolist() == [0]


@given(any_rows)
def test_hypervolume_counts_cubes(values):
    reference = np.full(values.shape[1], 5.0)
    assert hypervolume(values, reference) == naive_volume(values, reference)


@pytest.mark.slow
@given(st.sampled_from([2, 3]).flatmap(lambda m: st.tuples(rows(m, 6), rows(m, 12))))
def test_contributions_are_differences_of_hypervolume(pair):
    values, front = pair
    reference = np.full(values.shape[1], 5.0)
    before = naive_volume(front, reference)
    expected = [naive_volume(np.vstack([front, row[None]]), reference) - before for row in values]
    assert contributions(values, front, reference).tolist() == expected
    nothing = np.empty((0, values.shape[1]))
    assert contributions(values, nothing, reference).tolist() == [naive_volume(row[None], reference) for row in values]


def test_of_rows_behind_the_front_the_nearest_is_chosen_and_not_the_first():
    front, reference = np.asarray([[0.1, 0.5], [0.5, 0.1]]), np.ones(2)
    behind = np.asarray([[0.9, 0.9], [0.1, 0.95], [0.52, 0.13], [np.nan, 0.2]])
    assert contributions(behind, front, reference).tolist()[:3] == [0, 0, 0]
    assert closest_to_front(behind[:3], front, reference) == 2 == closest_to_front(behind, front, reference)
    adds = np.concatenate([behind[:3], [[0.3, 0.3], [0.45, 0.45]]])
    assert closest_to_front(adds, front, reference) == 3
    assert closest_to_front(behind[:3], np.empty((0, 2)), reference) == 2, "the most of nothing"
    assert closest_to_front(np.full((2, 2), 1.5), np.empty((0, 2)), reference) == 0


def test_an_unmeasured_row_contributes_nothing():
    assert contributions(np.asarray([[1.0, np.inf]]), np.asarray([[2.0, 2.0]]), np.asarray([5.0, 5.0])).tolist() == [0]


def naive_thin(values, most) -> list[int]:
    """The greedy choice, hypervolume by hypervolume."""
    front = non_dominated(values)
    low, high = values[front].min(axis=0), values[front].max(axis=0)
    scaled = (values[front] - low) / np.where(high > low, high - low, 1.0)
    reference = np.full(values.shape[1], 1.1)
    chosen = list(dict.fromkeys(scaled.argmin(axis=0).tolist()))[:most]
    while len(chosen) < most:
        rest = [i for i in range(len(front)) if i not in chosen]
        chosen.append(max(rest, key=lambda i: hypervolume(scaled[[*chosen, i]], reference)))
    return front[sorted(chosen)].tolist()


@examples(30)
@given(st.sampled_from([2, 3]), st.integers(0, 10**6), st.integers(1, 9))
def test_thin_is_the_greedy_choice(objectives, seed, most):
    values = np.abs(np.random.default_rng(seed).normal(size=(60, objectives)))
    values /= np.linalg.norm(values, axis=1, keepdims=True) * -1  # On a sphere, so that many are on the front.
    front = non_dominated(values)
    found = thin(values, most)
    if len(front) <= most:
        assert found.tolist() == front.tolist()
    else:
        assert found.tolist() == naive_thin(values, most)


@given(any_rows, st.integers(3, 8))
def test_thin_keeps_the_best_of_every_objective(values, most):
    found = thin(values, most)
    front = non_dominated(values)
    assert len(found) == min(most, len(front)) and set(found) <= set(front)
    np.testing.assert_array_equal(values[found].min(axis=0), values.min(axis=0))


def test_values_are_signed_and_unmeasured_is_infinite():
    rule = ExitRule("margin", (1,), ())
    point = OperatingPoint(rule, 10, 7, (1.0,), (7,), macs=100.0, params=5)
    assert values_of([point], (accuracy, macs, latency_ms)).tolist() == [[-0.7, 100.0, np.inf]]
    assert values_of([], tuple(OBJECTIVES.values())).shape == (0, 4)
