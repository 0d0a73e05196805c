from dataclasses import replace

import pytest
from fake_records import fake_record

from searchlab.errors import Interrupted
from searchlab.measure import remeasure
from searchlab.measure.isolation import Waiting
from searchlab.measure.remeasure import until_trusted
from searchlab.record import LatencyCheck

LATENCY = replace(fake_record(0).latency, check=None)


def attempts(*errors):
    """Measurements, one after the other, whose additive latency is so far from the end-to-end one."""
    left = [replace(LATENCY, mixed=LatencyCheck(1.0 + error, 1.0)) for error in errors]
    return lambda: left.pop(0)


@pytest.fixture
def pauses(monkeypatch):
    paused = []
    monkeypatch.setattr(remeasure, "PAUSES_S", (1.0, 4.0))
    monkeypatch.setattr(Waiting, "pause", lambda self, seconds: paused.append(seconds))
    return paused


@pytest.mark.parametrize(
    ("errors", "kept", "paused"),
    [
        ((0.09,), 0.09, []),
        ((0.4, -0.02), -0.02, [1.0]),
        ((0.4, -0.2, 0.03), 0.03, [1.0, 4.0]),
        ((0.4, -0.2, 0.3), -0.2, [1.0, 4.0]),
    ],
)
def test_a_latency_that_disagrees_with_its_check_is_measured_again_later_and_the_best_is_kept(
    pauses, errors, kept, paused
):
    report = until_trusted(attempts(*errors), Waiting())
    assert report.mixed.error == pytest.approx(kept) and pauses == paused
    assert bool(report.doubt) is (abs(kept) > 0.1)


def test_a_repetition_says_that_the_machine_may_be_busy(pauses):
    said = []
    until_trusted(attempts(0.4, -0.2, 0.03), Waiting(say=said.append))
    assert [line.split(": ")[-1] for line in said] == [f"measuring again, attempt {n} of 3" for n in (2, 3)]
    assert all("in doubt, the machine may be busy (additive and end-to-end latency differ" in line for line in said)


def test_a_pause_between_two_measurements_is_interrupted(monkeypatch):
    monkeypatch.setattr(remeasure, "PAUSES_S", (3600.0,))
    with pytest.raises(Interrupted):
        until_trusted(attempts(0.4), Waiting(interrupted=lambda: True))
