import pytest
from fake_records import fake_point, fake_record, fake_study

from searchlab.front.knee import knee
from searchlab.front.points import study_front


def front_of(points, *objectives):
    """A front of points of (correct of 360, MACs, latency)."""
    made = [fake_point(correct, macs, 100, latency_ms) for correct, macs, latency_ms in points]
    return study_front(fake_study(*objectives), [fake_record(0, made)], most=None)


def test_the_knee_is_farthest_above_the_line_between_the_ends():
    front = front_of([(100, 1e3, 1.0), (200, 2e3, 1.5), (300, 3e3, 2.0), (310, 9e3, 6.0), (320, 9.5e3, 9.0)])
    assert knee(front).point.correct == 300


def test_scales_do_not_matter():
    points = [(100, 1e3, 1.0), (300, 3e3, 2.0), (310, 9e3, 6.0), (320, 9.5e3, 9.0)]
    scaled = [(correct, macs, 1e-4 * latency_ms) for correct, macs, latency_ms in points]
    assert knee(front_of(scaled)).point.correct == knee(front_of(points)).point.correct == 300


def test_without_latency_the_cost_is_macs():
    front = front_of([(100, 1e3, None), (310, 2e3, None), (320, 9e3, None)], "accuracy", "macs")
    assert knee(front).point.correct == 310


@pytest.mark.parametrize("count", [1, 2])
def test_of_one_or_two_points_it_is_the_most_accurate(count):
    points = [(300, 1e3, 1.0), (200, 5e2, 0.5)][:count]
    assert knee(front_of(points)).point.correct == 300
