from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from searchlab.data.one_process import one_process


def test_the_second_waits_until_the_first_is_done_and_no_lock_stays(tmp_path):
    place, waiting, done = tmp_path / "images", Event(), []

    def second() -> None:
        with one_process(place, waiting.set):
            assert done == ["first"]
            done.append("second")

    with ThreadPoolExecutor(1) as pool:
        with one_process(place):
            after = pool.submit(second)
            assert waiting.wait(timeout=30)
            done.append("first")
        after.result(timeout=30)
    assert done == ["first", "second"] and list(tmp_path.iterdir()) == []


def test_never_two_at_once_though_each_removes_the_lock(tmp_path):
    inside, most = [], []

    def one(number: int) -> None:
        with one_process(tmp_path / "images"):
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(200)))
    assert len(most) == 200 and max(most) == 1


def test_the_lock_is_removed_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="no image"), one_process(tmp_path / "images"):
        raise ValueError("no image")
    assert list(tmp_path.iterdir()) == []
