import pytest

from searchlab.measure import cpu_contention as module
from searchlab.measure.cpu_contention import load


@pytest.fixture
def tasks(monkeypatch, tmp_path):
    """A /proc/self/task, and a clock that moves by a second."""
    times = iter(range(0, 100_000_000_000, 1_000_000_000))
    monkeypatch.setattr(module, "_TASKS", tmp_path)
    monkeypatch.setattr(module, "perf_counter_ns", lambda: next(times))

    def write(**waited_s):
        for name, seconds in waited_s.items():
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "schedstat").write_text(f"123 {round(1e9 * seconds)} 7\n")

    return write


@pytest.mark.parametrize(("threads", "waited"), [(1, 0.6), (2, 0.3)])
def test_the_time_in_which_threads_had_no_core_is_seen(tasks, threads, waited):
    tasks(one=5.0, two=3.0)
    with load(threads) as met:
        tasks(one=5.5, two=3.0, three=0.1)
    assert met.waited == pytest.approx(waited)


def test_where_the_system_does_not_say_nothing_is_seen(tasks, tmp_path):
    (tmp_path / "gone").mkdir()
    with load(1) as met:
        pass
    assert met.waited == 0.0
