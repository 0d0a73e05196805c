import numpy as np
import pytest
import torch
from paper_parts import names

RuntimeOptions, SetRuntime, runtime_ratio, runtimes, seconds, slope_ms, slope_ratio = names(
    "gates",
    "runtime",
    "RuntimeOptions",
    "SetRuntime",
    "runtime_ratio",
    "runtimes",
    "seconds",
    "slope_ms",
    "slope_ratio",
)

ROUNDS = 5


def made_up(slopes, intercept=3.0, sizes=(5, 10, 20, 40), rounds=ROUNDS):
    """Runtimes on a line, but for what slows a whole round down."""
    slowed = 1 + np.random.default_rng(0).random(rounds)
    return tuple(
        SetRuntime(n, {name: tuple((slowed * (intercept + slope * n)).tolist()) for name, slope in slopes.items()})
        for n in sizes
    )


def test_every_contender_sees_the_first_images_of_every_set_in_every_round():
    images_NCHW = torch.arange(40.0).reshape(40, 1, 1, 1)
    seen = {"a": [], "b": []}

    def prepare():
        return {name: lambda image, name=name: seen[name].append(int(image)) for name in seen}

    found = runtimes(prepare, images_NCHW, 1, RuntimeOptions(rounds=3))
    assert [each.images for each in found] == [5, 10, 20, 40]
    assert all(len(ms) == 3 and min(ms) > 0 for each in found for ms in each.ms.values())
    for name, numbers in seen.items():
        # Two images at a time, until each contender is warm, then the sets.
        counted = numbers[-3 * 75 :]
        assert np.bincount(counted).tolist() == [12] * 5 + [9] * 5 + [6] * 10 + [3] * 20, name
        assert set(numbers[: -3 * 75]) == {0, 1}


def test_the_budget_decides_how_many_images():
    images_NCHW = torch.zeros(40, 1, 1, 1)
    (*_, largest) = runtimes(lambda: {"a": lambda _: None}, images_NCHW, 1, RuntimeOptions(budget_s=1e-6))
    assert largest.images == 8


def test_slope_of_a_line_and_what_slows_all_cancels():
    sets = made_up({"plain": 2.0, "gated": 1.0}, intercept=0.0)
    slope, ratio = slope_ms(sets, "plain"), slope_ratio(sets, "gated", "plain")
    assert slope.value == pytest.approx(2 * np.median(1 + np.random.default_rng(0).random(ROUNDS)))
    assert slope.low < slope.value < slope.high
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((0.5, 0.5, 0.5))
    of_one = runtime_ratio(sets[0], "gated", "plain")
    assert (of_one.value, of_one.low, of_one.high) == pytest.approx((0.5, 0.5, 0.5))


def test_a_constant_is_no_part_of_the_slope():
    sets = tuple(SetRuntime(n, {"plain": (100 + 2.0 * n,) * 3}) for n in (5, 10, 20, 40))
    assert slope_ms(sets, "plain").value == pytest.approx(2.0)
    assert seconds(sets[0], "plain") == pytest.approx(0.11)
