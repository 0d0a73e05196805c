"""Axes of a front's plots: objective, unit, scale and ticks of each axis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from searchlab.front.points import FrontPoint, common_machine, deciding_score, doubt_of, exit_names, times_reference
from searchlab.objective import Objective
from searchlab.operating_point import OperatingPoint
from searchlab.record import TrialRecord
from searchlab.report import units
from searchlab.study import Study

LOG_RATIO = 10.0
"""Ratio of largest to smallest value from which a cost axis is logarithmic."""


@dataclass(frozen=True)
class Axes:
    """Objectives on the axes: `x` the first cost, `y` the accuracy (or the next cost), `colour` a third one.

    `engine` is what executed the networks whose latency was measured; "" if none was.
    """

    x: Objective
    y: Objective
    colour: Objective | None
    engine: str = ""

    def title(self, objective: Objective) -> str:
        """Returns an axis title: "accuracy on the validation split (%)", "latency p50 in onnxruntime (ms)", "MACs"."""
        if objective.unit == "%":
            return f"{objective.label} on the validation split (%)"
        engine = f" in {self.engine}" if self.engine else ""
        return f"{objective.label} p50{engine} (ms)" if objective.unit == "ms" else objective.label


def axes_of(study: Study, records: Sequence[TrialRecord] = ()) -> Axes:
    """Assigns objectives to axes, in the study's order.

    Raises:
        UserError: the trials' latencies were measured on different machines or in different engines.
    """
    machine = common_machine(study, records)
    costs = [o for o in study.objectives if o.sign > 0]
    gains = [o for o in study.objectives if o.sign < 0]
    x, y, *rest = [*costs[:1], *gains, *costs[1:]]
    return Axes(x, y, rest[0] if rest else None, machine.engine if machine else "")


def coordinate(point: OperatingPoint, objective: Objective) -> float:
    """Returns a point's value on an axis: percent for accuracy, the unit itself for costs; NaN if unknown."""
    value: float | None = getattr(point, objective.name)
    if value is None:
        return math.nan
    return 100 * value if objective.unit == "%" else float(value)


def tick_label(value: float, objective: Objective) -> str:
    """Formats a tick in few characters: "0.05", "98", "4 M"."""
    if objective.unit in ("%", "ms"):
        return f"{value:.10g}"
    return units.count(value).replace(".0 ", " ")


def is_logarithmic(values: Sequence[float]) -> bool:
    """Whether positive `values` span more than `LOG_RATIO`."""
    return bool(values) and min(values) > 0 and max(values) / min(values) > LOG_RATIO


def log_ticks(low: float, high: float) -> list[float]:
    """Returns 1, 2, 5, 10 ... between two positive numbers; over more than three decades only powers of ten."""
    steps = (1, 2, 5) if high / low < 1e3 else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high]


def linear_ticks(low: float, high: float, about: int = 7) -> list[float]:
    """Returns about `about` round numbers between two numbers."""
    rough = (high - low) / about
    scale = 10.0 ** math.floor(math.log10(rough))
    step = min((factor * scale for factor in (1, 2, 5, 10)), key=lambda step: abs(math.log(step / rough)))
    return [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


def padded(low: float, high: float, *, logarithmic: bool, share: float = 0.05) -> tuple[float, float]:
    """Widens an interval by a margin on both sides, so that no mark lies on the frame."""
    if logarithmic:
        ends = padded(math.log10(low), math.log10(high), logarithmic=False, share=share)
        return 10 ** ends[0], 10 ** ends[1]
    margin = share * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def reference_latency(front: Sequence[FrontPoint]) -> tuple[str, float] | None:
    """Returns the reference network's name and its median latency over the front's trials, in milliseconds."""
    measured = {p.record.number: p.record.latency for p in front if p.record.latency}
    found = sorted(report.reference.p50 for report in measured.values())
    if not found:
        return None
    return next(iter(measured.values())).reference_name, found[len(found) // 2]


def description(record: TrialRecord, point: OperatingPoint, *, number: int | None = None) -> str:
    """Returns the hover text of a point; lines are separated by `<br>`."""
    times, doubt = times_reference(record, point), doubt_of(record) if point.latency_ms is not None else ""
    accuracy = point.accuracy_estimate
    score = deciding_score(point.rule)
    title = f"trial {record.number}" if number is None else f"point {number}, trial {record.number}"
    return "<br>".join(
        [
            f"<b>{title}</b>",
            f"accuracy {units.percent(accuracy.value)} {units.percent_interval(accuracy)}",
            *(
                [f"latency {units.marked(units.milliseconds(point.latency_ms), doubt)}"]
                if point.latency_ms is not None
                else []
            ),
            *([f"{units.marked(units.ratio(times.value), doubt)} × reference"] if times else []),
            *([f"{units.DOUBTFUL} {doubt}"] if doubt else []),
            f"{units.count(point.macs)} MACs, {units.count(point.params)} parameters",
            f"exits {', '.join(exit_names(record.candidate, point.rule))}{f' by {score}' if score else ''}",
        ]
    )
