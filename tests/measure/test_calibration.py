from dataclasses import replace

from fake_records import GPU, fake_record
from raises import raises_code

from searchlab.measure.calibration import calibrated
from searchlab.record import SegmentLatency, TimeUnit


def test_everything_but_ratios_is_divided_by_the_drift_of_the_reference():
    report = fake_record(0).latency
    report = replace(report, segments=SegmentLatency((4.0, 2.0), (1.0,), {"gate": 0.5}, (0.25,)), drift=3.0)
    unit = TimeUnit(report.reference_name, report.reference.p50 / 2, report.machine)
    found = calibrated(report, unit)
    assert found.segments == SegmentLatency((2.0, 1.0), (0.5,), {"gate": 0.25}, (0.125,))
    assert (found.whole.p50, found.reference.p50) == (report.whole.p50 / 2, report.reference.p50 / 2)
    assert (found.check.additive_ms, found.check.error) == (report.check.additive_ms / 2, report.check.error)
    assert found.ratio == report.ratio and found.drift == 6.0
    assert calibrated(report, None) == report
    assert TimeUnit.of(found) == unit


def test_a_latency_is_never_divided_into_the_milliseconds_of_another_machine_or_reference():
    report = fake_record(0).latency
    unit = TimeUnit.of(report)
    with raises_code(
        "machine-differs",
        where="latency",
        value="cpu (2 threads) AMD EPYC 7763, torch 2.15.0, driver none, python 3.11.9",
        mentions=["so far cuda NVIDIA H200", "--name"],
    ):
        calibrated(report, replace(unit, machine=GPU))
    with raises_code("reference-differs", where="latency", value="resnet8", mentions="so far resnet20"):
        calibrated(report, replace(unit, reference_name="resnet20"))
