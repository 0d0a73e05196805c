"""Contents of a front's plot, independent of the plotting library: lines, intervals, ranges."""

from collections.abc import Sequence
from dataclasses import dataclass

from searchlab.errors import UserError
from searchlab.front.pareto import non_dominated, values_of
from searchlab.front.points import FrontPoint, TestPoints, study_front
from searchlab.objective import Objective
from searchlab.record import TrialRecord
from searchlab.report.axes import (
    Axes,
    axes_of,
    coordinate,
    description,
    is_logarithmic,
    padded,
    reference_latency,
)
from searchlab.report.style import Scales
from searchlab.study import Study


@dataclass(frozen=True)
class Picture:
    """Contents of the plot: the whole front, its numbered points, every complete trial's frontier, and the axes."""

    study: Study
    records: Sequence[TrialRecord]
    front: Sequence[FrontPoint]
    numbered: Sequence[FrontPoint]
    scales: Scales
    reference: tuple[str, float] | None

    @property
    def axes(self) -> Axes:
        """Returns the axes."""
        return self.scales.axes


def picture(study: Study, records: Sequence[TrialRecord], *, tests: TestPoints | None = None) -> Picture:
    """Collects the contents of a study's plot.

    Raises:
        UserError: no trial is complete, or their machines differ.
    """
    front = study_front(study, records, most=None)
    if not front:
        raise UserError(
            "no-results",
            "no complete trial to plot",
            where=f"study {study.name}",
            allowed="needs at least one complete trial",
        )
    axes = axes_of(study, records)
    reference = reference_latency(front) if axes.x.name == "latency_ms" else None
    x = [coordinate(entry.point, axes.x) for entry in front]
    x += [reference[1]] if reference else []
    # The range covers the front and its neighbourhood; points far below it carry no information.
    numbered = study_front(study, records, tests=tests)
    y = [coordinate(entry.point, axes.y) for entry in front]
    y += [end for entry in numbered for end in interval(entry, axes.y)]
    logarithmic = is_logarithmic(x)
    return Picture(
        study=study,
        records=sorted((r for r in records if r.state == "complete"), key=lambda record: record.number),
        front=sorted(front, key=lambda entry: coordinate(entry.point, axes.x)),
        numbered=numbered,
        scales=Scales(
            axes,
            x_range=padded(min(x), max(x), logarithmic=logarithmic),
            y_range=padded(min(y), max(y), logarithmic=False),
            logarithmic=logarithmic,
        ),
        reference=reference,
    )


def trial_line(drawn: Picture, record: TrialRecord) -> tuple[list[float], list[float], list[str]]:
    """Returns x, y and hover texts of a trial's frontier, cheapest first."""
    points = record.frontier.points if record.frontier else ()
    plane = [points[i] for i in non_dominated(values_of(points, (drawn.axes.x, drawn.axes.y)))]
    x = [coordinate(point, drawn.axes.x) for point in plane]
    return x, [coordinate(point, drawn.axes.y) for point in plane], [description(record, point) for point in plane]


def interval(entry: FrontPoint, y: Objective) -> tuple[float, float]:
    """Returns the interval of an entry on the y axis; the value twice if y has no interval."""
    if y.name != "accuracy":
        return (coordinate(entry.point, y),) * 2
    estimate = entry.point.accuracy_estimate
    return 100 * estimate.low, 100 * estimate.high


def bars(drawn: Picture) -> tuple[list[float], list[float]]:
    """Returns the lengths of every numbered point's interval below and above it."""
    y = drawn.axes.y
    spans = [(coordinate(entry.point, y), *interval(entry, y)) for entry in drawn.numbered]
    return [value - low for value, low, _ in spans], [high - value for value, _, high in spans]
