from itertools import count

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from searchlab.measure.alternating import Alternated, Turns, alternating

IMAGES = [torch.full((1, 1, 2, 2), float(i)) for i in range(3)]


class Stage:
    """A clock that stands still but for what the two runs take, and a note of who ran on which image."""

    def __init__(self, base_ms, other_ms):
        self.now_ns, self.ran = 0, []
        self.base, self.other = self._run("base", base_ms), self._run("other", other_ms)

    def _run(self, name, ms):
        def run(image_1CHW):
            self.ran.append((name, int(image_1CHW.mean())))
            self.now_ns += round(1e6 * next(ms))

        return run

    def clock_ns(self):
        return self.now_ns


def test_both_see_all_images_in_turns_after_a_warm_up_that_does_not_count():
    stage = Stage(count(), count(start=100))
    found = alternating(stage.base, stage.other, IMAGES, Turns(warm_up=1, sets=2, epochs=2), stage.clock_ns)
    epochs = [name for name, image in stage.ran if image == 0]
    assert epochs == ["base", "other", "base", "base", "other", "other", "base", "base", "other", "other"]
    assert stage.ran == [(name, image) for name in epochs for image in range(3)]
    # The i-th image of each takes i milliseconds more than the first: epochs of three, the warm-up left out.
    assert found.base_ms == ((4.0, 7.0), (10.0, 13.0))
    assert found.other_ms == ((104.0, 107.0), (110.0, 113.0))


def test_faster_is_positive_and_a_share_of_the_bases_time():
    half = Alternated(((8.0, 8.0), (10.0, 10.0)), ((4.0, 4.0), (5.0, 5.0))).faster_percent()
    assert (half.value, half.low, half.high) == (50, 50, 50)
    assert Alternated(((8.0,),), ((10.0,),)).faster_percent().value == pytest.approx(-25)


def test_one_disturbed_epoch_of_a_set_does_not_count():
    quiet = ((8.0, 8.0, 8.0), (8.0, 8.0, 8.0))
    disturbed = ((6.0, 90.0, 6.0), (6.0, 6.0, 6.0))
    assert Alternated(quiet, disturbed).faster_percent().value == 25


def test_the_interval_holds_what_the_sets_say_each_for_itself():
    sets = Alternated(((10.0,) * 5, (10.0,) * 5), ((9.0,) * 5, (7.0,) * 5)).faster_percent()
    assert (sets.low, sets.value, sets.high) == pytest.approx((10, 20, 30))
    assert Alternated(((10.0,),), ((9.0,),)).faster_percent().low == pytest.approx(10)


TIMES = st.integers(1, 3).flatmap(
    lambda epochs: st.lists(
        st.lists(st.floats(0.1, 50), min_size=epochs, max_size=epochs).map(tuple), min_size=1, max_size=3
    ).map(tuple)
)


@given(TIMES, st.floats(0.2, 3))
def test_drift_that_both_share_cancels(base_ms, factor):
    other_ms = tuple(tuple(factor * ms for ms in epochs) for epochs in base_ms)
    found = Alternated(base_ms, other_ms).faster_percent()
    assert found.value == pytest.approx(100 * (1 - factor), abs=1e-6)
    assert found.low <= found.value <= found.high
    if len(np.unique(base_ms)) == 1:
        assert found.high - found.low == pytest.approx(0, abs=1e-6)
