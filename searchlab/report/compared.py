"""Fronts of one study in several device profiles, in one plot: as a picture (matplotlib) and a page (plotly).

Both libraries take long to import, so they are imported where they are used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchlab.errors import UserError
from searchlab.front.points import Entry, common_machine, entries_of, front_of
from searchlab.objective import accuracy, latency_ms
from searchlab.record import TrialRecord
from searchlab.report.axes import Axes, coordinate, description, is_logarithmic, padded
from searchlab.report.page import plot_page
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

COLOURS = ("#1259a8", "#c4622d", "#2a8a5c", "#8a4fa3", "#a8861a", "#4b5966")
DASHES = (("-", "solid"), ("--", "dash"), (":", "dot"))
"""Dashes of matplotlib and of plotly, for more fronts than there are colours."""

ABOUT = (
    "Every line is the Pareto front of the same trained networks, with their latencies in another engine or on another "
    "machine. Each front has its own networks, exits and thresholds. Accuracies are those of the validation split. "
    "Milliseconds of different lines are of different machines or engines: they say what each device can do, and no "
    "front mixes them."
)


@dataclass(frozen=True)
class Line:
    """A front in one profile, cheapest first, with its legend and style."""

    title: str
    entries: Sequence[Entry]
    colour: str
    dash: tuple[str, str]


def write_compared_html(path: Path, study: Study, profiles: Mapping[str, Sequence[TrialRecord]]) -> None:
    """Writes the interactive page of the profiles' fronts; plotly.js is in the file, so that it needs no network.

    Raises:
        UserError: as `lines_of`.
    """
    page = plot_page(study, _title(study), [ABOUT], figure_html(compared_figure(study, profiles)))
    save_page(page, path)


def compared_figure(study: Study, profiles: Mapping[str, Sequence[TrialRecord]]) -> Any:
    """The same plot as a figure of plotly's.

    Raises:
        UserError: as `lines_of`.
    """
    import plotly.graph_objects as go

    lines = lines_of(study, profiles)
    figure = go.Figure()
    for line in lines:
        x, y = _places(line)
        style = {"color": line.colour, "width": 2.5, "shape": "hv", "dash": line.dash[1]}
        text = [description(record, point) for record, point in line.entries]
        look = {"mode": "lines+markers", "line": style, "marker": {"size": 6, "color": line.colour}, "name": line.title}
        figure.add_trace(go.Scatter(x=x, y=y, text=text, hovertemplate="%{text}<extra></extra>", **look))
    figure.update_layout(scaled_layout(_scales(lines)))
    return figure


def write_compared_png(path: Path, study: Study, profiles: Mapping[str, Sequence[TrialRecord]]) -> None:
    """Writes the picture, 1600 by 1000 pixels.

    Raises:
        UserError: as `lines_of`.
    """
    lines = lines_of(study, profiles)
    figure = new_figure()
    canvas = figure.add_subplot()
    for line in lines:
        style: dict[str, Any] = {"color": line.colour, "linestyle": line.dash[0], "linewidth": 2}
        x, y = _places(line)
        canvas.step(x, y, where="post", marker="o", markersize=3.5, label=line.title, **style)
    scale_canvas(canvas, _scales(lines))
    canvas.set_title(_title(study), loc="left", fontsize=12, fontweight="bold")
    plain_frame(canvas)
    canvas.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, fontsize=8)
    save(figure, path)


def lines_of(study: Study, profiles: Mapping[str, Sequence[TrialRecord]]) -> list[Line]:
    """Returns the fronts in accuracy and latency, in the given order.

    Raises:
        UserError: a profile has no network with a latency, or mixes machines.
    """
    lines = []
    for number, (name, records) in enumerate(profiles.items()):
        machine = common_machine(study, records)
        entries = [entry for record in records for entry in entries_of(record, study)]
        front = front_of(entries, (latency_ms, accuracy))
        if machine is None or not front:
            allowed = "needs at least one network with a latency"
            raise UserError(
                "no-results", "no latency to plot", where=f"profile {name} of study {study.name}", allowed=allowed
            )
        title = f"{name}: {machine.executed_by}, {machine.hardware}"
        dash = DASHES[number // len(COLOURS) % len(DASHES)]
        lines.append(Line(title, front, COLOURS[number % len(COLOURS)], dash))
    return lines


def _places(line: Line) -> tuple[list[float], list[float]]:
    points = [point for _, point in line.entries]
    return [coordinate(point, latency_ms) for point in points], [coordinate(point, accuracy) for point in points]


def _scales(lines: Sequence[Line]) -> Scales:
    places = [_places(line) for line in lines]
    x, y = ([value for each in places for value in each[axis]] for axis in (0, 1))
    logarithmic = is_logarithmic(x)
    ends = padded(min(x), max(x), logarithmic=logarithmic), padded(min(y), max(y), logarithmic=False)
    return Scales(Axes(latency_ms, accuracy, None), *ends, logarithmic)


def _title(study: Study) -> str:
    return f"Fronts of {study.name}"
