"""One study, one unit of time: latencies scaled by how the reference fares now against when the study began."""

from dataclasses import replace

from searchlab.record import LatencyReport, Quantiles, SegmentLatency


def calibrated(report: LatencyReport, reference_ms: float | None) -> LatencyReport:
    """The report in milliseconds of the study whose reference took `reference_ms`; as it is where that is None.

    Candidate and reference were interleaved, so what slowed one slowed the other: dividing both by the reference's
    drift leaves their ratio as it was measured, and makes milliseconds compare between trials hours apart.
    """
    if reference_ms is None:
        return report
    drift = report.reference.p50 / reference_ms
    segments = report.segments
    return replace(
        report,
        segments=SegmentLatency(
            _divided(segments.stages_ms, drift),
            _divided(segments.heads_ms, drift),
            {score: ms / drift for score, ms in segments.decision_ms.items()},
            _divided(segments.gates_ms, drift),
        ),
        whole=_quantiles(report.whole, drift),
        reference=_quantiles(report.reference, drift),
        drift=report.drift * drift,
    )


def _divided(values_ms: tuple[float, ...], drift: float) -> tuple[float, ...]:
    return tuple(ms / drift for ms in values_ms)


def _quantiles(ms: Quantiles, drift: float) -> Quantiles:
    return Quantiles(ms.p50 / drift, ms.p90 / drift, ms.p99 / drift, ms.low / drift, ms.high / drift)
