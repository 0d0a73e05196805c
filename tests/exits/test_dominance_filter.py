import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchlab.exits.dominance_filter import Axis, Sieve

AXES = {
    "none": [],
    "exact": [Axis(0, 20, 21, exact=True)],
    "wide": [Axis(0, 20, 4)],
    "narrow": [Axis(0, 20, 7), Axis(0, 20, 64)],
    "mixed": [Axis(0, 20, 21, exact=True), Axis(0, 20, 5)],
    "flat": [Axis(3, 3, 5)],
}


@pytest.mark.parametrize("name", AXES)
@given(seed=st.integers(0, 10**6), sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4))
def test_what_is_dropped_is_weakly_dominated_by_what_is_let_through(name, seed, sizes):
    rng = np.random.default_rng(seed)
    axes = AXES[name]
    sieve = Sieve(axes)
    kept = np.empty((0, len(axes) + 1))
    for size in sizes:
        batch = rng.integers(0, 21, (size, len(axes) + 1))
        values = [column if i < len(axes) and axes[i].exact else column / 1.0 for i, column in enumerate(batch.T)]
        new = sieve.let_through(values)
        assert len(np.unique(new)) == len(new)
        kept = np.vstack([kept, batch[new]])
        for row in np.delete(batch, new, axis=0):
            assert np.any(np.all(kept <= row, axis=1))


def test_single_integer_cells_are_exact():
    sieve = Sieve([Axis(0, 9, 10, exact=True)])
    assert sieve.let_through([np.asarray([5, 3, 4]), np.asarray([1.0, 2.0, 3.0])]).tolist() == [0, 1]
    assert sieve.let_through([np.asarray([5, 3, 2]), np.asarray([1.0, 1.5, 9.0])]).tolist() == [1, 2]
