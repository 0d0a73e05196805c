import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from searchlab.measure.quantiles import paired_ratio, quantiles, undisturbed_means

ms_RP = arrays(np.float64, (9, 4), elements=st.floats(0.1, 10))


@given(ms_RP, st.floats(0.5, 2), arrays(np.float64, (9, 1), elements=st.floats(0.5, 4)))
def test_a_ratio_does_not_feel_what_slows_a_whole_round(ms, factor, slowdown):
    ratio = paired_ratio(factor * ms * slowdown, ms * slowdown, seed=0)
    np.testing.assert_allclose([ratio.value, ratio.low, ratio.high], factor)


MIDDLE = 1.0121406910541847
"""Between it and 0.1 lies a median that interpolation misses by the last bit."""


@given(ms_RP)
@example(np.array([2.0] * 17 + [MIDDLE] + [0.1] * 18).reshape(9, 4))
def test_quantiles_are_in_order_and_the_interval_holds_the_median(ms):
    found = quantiles(ms, seed=0)
    assert found.low <= found.p50 <= found.high
    assert found.p50 == np.median(ms) and found.p50 <= found.p90 <= found.p99 <= ms.max()
    assert found == quantiles(ms, seed=0)


def test_the_interval_narrows_with_the_rounds():
    noise = np.random.default_rng(0).normal(1, 0.1, size=(1000, 5))
    few, many = quantiles(noise[:20], seed=0), quantiles(noise, seed=0)
    assert many.high - many.low < (few.high - few.low) / 3
    assert many.low < 1 < many.high


@given(arrays(np.float64, (6, 3, 4), elements=st.floats(0.1, 10)))
def test_pieces_add_up_to_passes_that_took_between_the_fastest_and_the_median(ms):
    total = undisturbed_means(ms).sum()
    passes = ms.sum(axis=-1)
    assert passes.min() - 1e-9 <= total <= np.median(passes) + 1e-9


def test_interruptions_of_less_than_half_of_the_passes_are_not_seen():
    quiet = np.tile([1.0, 2.0, 3.0], (4, 5, 1))
    disturbed = quiet.copy()
    disturbed[:2, :, 1] += 100
    np.testing.assert_allclose(undisturbed_means(disturbed), [1, 2, 3])
