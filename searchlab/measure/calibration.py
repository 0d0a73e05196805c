"""Drift correction: scales latencies to the study's unit of time by the speed of the reference."""

from dataclasses import replace

from searchlab.errors import UserError
from searchlab.record import LatencyCheck, LatencyReport, Quantiles, SegmentLatency, TimeUnit


def calibrated(report: LatencyReport, unit: TimeUnit | None) -> LatencyReport:
    """Returns the report in the study's unit of time; unchanged if the study has none yet.

    Candidate and reference were interleaved, so a slower machine slows both. Dividing both by the reference's drift
    keeps their ratio, and makes milliseconds comparable between trials that are hours apart.

    Raises:
        UserError: the report is of another machine or another reference than the unit.
    """
    if unit is None:
        return report
    if report.machine != unit.machine:
        raise other_machine(unit, report.machine.in_full)
    if report.reference_name != unit.reference_name:
        raise other_reference(unit, report.reference_name)
    drift = report.reference.p50 / unit.reference_ms
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
        check=_check(report.check, drift),
        mixed=_check(report.mixed, drift),
    )


def other_machine(unit: TimeUnit, here: str, where: str = "latency", see: str = "") -> UserError:
    """Makes the error for a latency from another machine or engine than the unit's; `see` names options."""
    mend = f"{see}, or begin another study" if see else "begin another study"
    return UserError(
        "machine-differs",
        "its latencies were measured on another machine or in another engine, and cannot be compared",
        where=where,
        value=here,
        allowed=f"so far {unit.machine.in_full}; {mend} with --name NAME",
    )


def other_reference(unit: TimeUnit, here: str, where: str = "latency") -> UserError:
    """Makes the error for a latency beside another reference than the unit's."""
    return UserError(
        "reference-differs",
        "its latencies were measured beside another reference network and cannot be compared",
        where=where,
        value=here,
        allowed=f"so far {unit.reference_name}; begin another study with --name NAME",
    )


def _check(check: LatencyCheck | None, drift: float) -> LatencyCheck | None:
    return check and replace(check, additive_ms=check.additive_ms / drift, end_to_end_ms=check.end_to_end_ms / drift)


def _divided(values_ms: tuple[float, ...], drift: float) -> tuple[float, ...]:
    return tuple(ms / drift for ms in values_ms)


def _quantiles(ms: Quantiles, drift: float) -> Quantiles:
    return Quantiles(ms.p50 / drift, ms.p90 / drift, ms.p99 / drift, ms.low / drift, ms.high / drift)
