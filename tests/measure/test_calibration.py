from dataclasses import replace

from fake_records import fake_record

from searchlab.measure.calibration import calibrated
from searchlab.record import SegmentLatency


def test_everything_but_ratios_is_divided_by_the_drift_of_the_reference():
    report = fake_record(0).latency
    report = replace(report, segments=SegmentLatency((4.0, 2.0), (1.0,), {"gate": 0.5}, (0.25,)), drift=3.0)
    found = calibrated(report, report.reference.p50 / 2)
    assert found.segments == SegmentLatency((2.0, 1.0), (0.5,), {"gate": 0.25}, (0.125,))
    assert (found.whole.p50, found.reference.p50) == (report.whole.p50 / 2, report.reference.p50 / 2)
    assert found.ratio == report.ratio and found.drift == 6.0
    assert calibrated(report, None) == report
