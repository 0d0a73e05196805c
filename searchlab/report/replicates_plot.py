"""A front with its replicates as a picture (matplotlib) and as a page (plotly): intervals over seeds on both axes.

Both libraries take long to import, so they are imported where they are used.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.errors import UserError
from searchlab.front.replicates import Mean, Repeated, Split, optimism
from searchlab.report.axes import Axes, axes_of, coordinate, is_logarithmic, padded
from searchlab.report.page import plot_page
from searchlab.report.replicates import accuracy_cell, amount, cost_cell, costs_of, doubt_lines, optimism_lines
from searchlab.report.style import (
    Scales,
    figure_html,
    new_figure,
    plain_frame,
    save,
    save_page,
    scale_canvas,
    scaled_layout,
)
from searchlab.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Canvas

PICKED, VALIDATION, TEST = "#7b8894", "#7fb2e5", "#1259a8"


EXPLANATION = (
    "The front's candidates were trained again with fresh seeds. An open mark is a point as selected, the "
    "best of many on the validation split. A filled mark is the mean of the fresh seeds under the same rule: same "
    "score, same exits, and equal shares of validation images at each exit. Bars may extend beyond the plot. "
    "Move the mouse over a mark to see its figures."
)


@dataclass(frozen=True)
class Marks:
    """Points of one kind, with the lengths of their intervals to all four sides."""

    name: str
    colour: str
    x: list[float]
    y: list[float]
    x_bars: tuple[list[float], list[float]]
    y_bars: tuple[list[float], list[float]]


@dataclass(frozen=True)
class Doubt:
    """Contents of the plot: the points as selected, and their means over fresh seeds on either split."""

    study: Study
    front: Sequence[Repeated]
    axes: Axes
    picked: Marks
    fresh: tuple[Marks, Marks]

    @property
    def logarithmic(self) -> bool:
        """Whether the cost axis is logarithmic."""
        return is_logarithmic([x for marks in (self.picked, *self.fresh) for x in marks.x])

    @property
    def scales(self) -> Scales:
        """Returns the axes."""
        x, y = self.ends("x", logarithmic=self.logarithmic), self.ends("y", logarithmic=False)
        return Scales(self.axes, x, y, self.logarithmic)

    def ends(self, axis: str, *, logarithmic: bool) -> tuple[float, float]:
        """Returns the range of "x" or "y": all marks, and intervals up to the extent of the marks.

        Intervals of two or three seeds may be so wide that they would hide the marks; they are clipped.
        """
        every = (self.picked, *self.fresh)
        at = [value for marks in every for value in getattr(marks, axis)]
        span = max(at) - min(at) or 0.1 * abs(max(at))
        low, high = min(at), max(at)
        for marks in self.fresh:
            bars = getattr(marks, f"{axis}_bars")
            low = min([low, *(v - down for v, down in zip(getattr(marks, axis), bars[0], strict=True))])
            high = max([high, *(v + up for v, up in zip(getattr(marks, axis), bars[1], strict=True))])
        low, high = max(low, min(at) - span), min(high, max(at) + span)
        low = max(low, min(at) / 2) if logarithmic else low
        return padded(low, high, logarithmic=logarithmic)


def doubt_of(study: Study, front: Sequence[Repeated]) -> Doubt:
    """Collects the contents of the plot for points that have readings.

    Raises:
        UserError: no point has readings.
    """
    axes = axes_of(study, [entry.picked.record for entry in front])
    known = [entry for entry in front if entry.readings]
    if not known:
        allowed = "needs a complete replicate of a point on the front"
        raise UserError("no-results", "no replicates to plot", where=f"study {study.name}", allowed=allowed)
    picked_x = [coordinate(entry.picked.point, axes.x) for entry in known]
    picked_y = [coordinate(entry.picked.point, axes.y) for entry in known]
    none = ([0.0] * len(known), [0.0] * len(known))
    picked = Marks("as selected, on the validation split", PICKED, picked_x, picked_y, none, none)
    fresh = (
        _marks("fresh seeds, on the validation split", VALIDATION, known, axes, "validation"),
        _marks("fresh seeds, on the test split", TEST, known, axes, "test"),
    )
    return Doubt(study, known, axes, picked, fresh)


def _marks(name: str, colour: str, known: Sequence[Repeated], axes: Axes, split: Split) -> Marks:
    columns = []
    for objective in (axes.x, axes.y):
        means = [entry.mean(objective.name, split) for entry in known]
        scale = 100 if objective.unit == "%" else 1
        columns.append([_scaled(mean, scale) for mean in means])
    x, y = columns
    return Marks(name, colour, [m.value for m in x], [m.value for m in y], _bars(x), _bars(y))


def _scaled(mean: Mean | None, scale: float) -> Mean:
    if mean is None:
        return Mean(math.nan, None)
    return Mean(scale * mean.value, mean.interval and (scale * mean.interval[0], scale * mean.interval[1]))


def _bars(means: Sequence[Mean]) -> tuple[list[float], list[float]]:
    ends = [mean.interval or (mean.value, mean.value) for mean in means]
    down = [mean.value - low for mean, (low, _) in zip(means, ends, strict=True)]
    return down, [high - mean.value for mean, (_, high) in zip(means, ends, strict=True)]


def write_replicates_png(path: Path, study: Study, front: Sequence[Repeated]) -> None:
    """Writes the picture, 1600 by 1000 pixels.

    Raises:
        UserError: no point has readings.
    """
    drawn = doubt_of(study, front)
    figure = new_figure()
    canvas = figure.add_subplot()
    _draw(canvas, drawn)
    save(figure, path)


def _draw(canvas: "Canvas", drawn: Doubt) -> None:
    picked = drawn.picked
    canvas.scatter(picked.x, picked.y, s=30, facecolors="white", edgecolors=PICKED, label=picked.name, zorder=3)
    for marks in drawn.fresh:
        bars: dict[str, Any] = {"xerr": marks.x_bars, "yerr": marks.y_bars, "elinewidth": 0.9, "capsize": 2}
        canvas.errorbar(
            marks.x, marks.y, **bars, fmt="o", markersize=4.5, color=marks.colour, label=marks.name, zorder=4
        )
    for entry, x, y in zip(drawn.front, picked.x, picked.y, strict=True):
        place: dict[str, Any] = {"xytext": (-5, 4), "textcoords": "offset points", "ha": "right", "fontsize": 8}
        canvas.annotate(str(entry.picked.number), (x, y), **place, color=PICKED).set_in_layout(False)
    scale_canvas(canvas, drawn.scales)
    canvas.set_ylabel(_y_title(drawn.axes))
    canvas.set_title(_title(drawn.study), loc="left", fontsize=12, fontweight="bold", pad=36)
    plain_frame(canvas)
    canvas.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8, borderpad=0.2)


def _y_title(axes: Axes) -> str:
    return f"{axes.y.label} (%)" if axes.y.unit == "%" else axes.title(axes.y)


def _title(study: Study) -> str:
    return f"Front of {study.name}, trained again"


def write_replicates_html(path: Path, study: Study, front: Sequence[Repeated]) -> None:
    """Writes the page; plotly.js is in the file, so that it needs no network.

    Raises:
        UserError: no point has readings.
    """
    explanation = [EXPLANATION, *optimism_lines(optimism(front)), *doubt_lines(front)]
    page = plot_page(study, _title(study), explanation, figure_html(_figure(doubt_of(study, front))))
    save_page(page, path)


def _figure(drawn: Doubt) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    for marks in (drawn.picked, *drawn.fresh):
        figure.add_trace(go.Scatter(**_trace(drawn, marks)))
    figure.update_layout(scaled_layout(drawn.scales))
    figure.update_yaxes(title_text=_y_title(drawn.axes))
    return figure


def _trace(drawn: Doubt, marks: Marks) -> dict[str, Any]:
    made: dict[str, Any] = {"x": marks.x, "y": marks.y, "name": marks.name, "mode": "markers"}
    made["customdata"] = [_said(drawn.study, entry) for entry in drawn.front]
    made["hovertemplate"] = "%{customdata}<extra></extra>"
    if marks is drawn.picked:
        text = {"text": [str(entry.picked.number) for entry in drawn.front], "textposition": "top left"}
        marker = {"size": 9, "symbol": "circle-open", "color": PICKED, "line": {"width": 1.5}}
        return {**made, **text, "mode": "markers+text", "textfont": {"size": 11, "color": PICKED}, "marker": marker}
    bars = {
        f"error_{axis}": {"type": "data", "array": up, "arrayminus": down, "thickness": 1.2, "width": 3}
        for axis, (down, up) in (("x", marks.x_bars), ("y", marks.y_bars))
    }
    return {**made, **bars, "marker": {"size": 8, "color": marks.colour}}


def _said(study: Study, entry: Repeated) -> str:
    """Returns the hover text of a point."""
    return "<br>".join(f"{name} {text}" if name else f"<b>{text}</b>" for name, text in _facts(study, entry).items())


def _facts(study: Study, entry: Repeated) -> dict[str, str]:
    point = entry.picked.point
    found = {"": f"point {entry.picked.number}, trial {entry.picked.record.number}, {len(entry.readings)} fresh seeds"}
    found["selected at"] = f"{100 * point.accuracy:.1f} %"
    found["fresh seeds, validation"] = accuracy_cell(entry.mean("accuracy", "validation"))
    found["fresh seeds, test"] = accuracy_cell(entry.mean("accuracy", "test"))
    for cost in costs_of(study):
        fresh = cost_cell(entry.mean(cost.name, "test"), cost)
        found[cost.label] = f"{amount(getattr(point, cost.name), cost)}, fresh seeds {fresh}"
    return found
