"""The front as a picture (matplotlib) and as an interactive page (plotly), both from the same data.

Both libraries take long to import, so they are imported where they are used.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.front.points import FrontPoint, TestPoints
from searchlab.record import TrialRecord
from searchlab.report import units
from searchlab.report.axes import coordinate, description, linear_ticks, tick_label
from searchlab.report.page import page_html
from searchlab.report.picture import Picture, bars, picture, trial_line
from searchlab.report.style import figure_html, new_figure, plain_frame, save, save_page, scale_canvas, scaled_layout
from searchlab.report.tables import doubt_note
from searchlab.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Canvas

FRONT, FAINT, REFERENCE = "#1259a8", "#9fb0c0", "#c4622d"
COLOURS = "viridis"


def write_html(path: Path, study: Study, records: Sequence[TrialRecord], *, tests: TestPoints | None = None) -> None:
    """Writes the interactive page; plotly.js is in the file, so that it needs no network.

    Raises:
        UserError: no trial is complete, or their machines differ.
    """
    drawn = picture(study, records, tests=tests)
    page = page_html(study, records, drawn.numbered, figure_html(_figure(drawn)))
    save_page(page, path)


def front_figure(study: Study, records: Sequence[TrialRecord], *, tests: TestPoints | None = None) -> Any:
    """The same plot as a figure of plotly's, which a notebook shows.

    Raises:
        UserError: no trial is complete, or their machines differ.
    """
    return _figure(picture(study, records, tests=tests)).update_layout(title=f"Front of {study.name}")


def write_png(path: Path, study: Study, records: Sequence[TrialRecord]) -> None:
    """Writes the picture of the front, 1600 by 1000 pixels.

    Raises:
        UserError: no trial is complete, or their machines differ.
    """
    drawn = picture(study, records)
    figure = new_figure()
    canvas = figure.add_subplot()
    _draw(canvas, drawn)
    save(figure, path)


def _draw(canvas: "Canvas", drawn: Picture) -> None:
    axes = drawn.axes
    for index, record in enumerate(drawn.records):
        x, y, _ = trial_line(drawn, record)
        label = "frontier of each trial" if index == 0 else None
        canvas.step(x, y, where="post", color=FAINT, alpha=0.5, linewidth=0.9, label=label, zorder=1)
    x = [coordinate(entry.point, axes.x) for entry in drawn.front]
    y = [coordinate(entry.point, axes.y) for entry in drawn.front]
    if axes.colour is None:
        canvas.step(x, y, where="post", color=FRONT, linewidth=2.2, label="front", zorder=3)
    else:
        shade = [coordinate(entry.point, axes.colour) for entry in drawn.front]
        marks = canvas.scatter(x, y, c=shade, s=34, cmap=COLOURS, label="front", zorder=4)
        bar = canvas.figure.colorbar(marks, ax=canvas, label=axes.title(axes.colour))
        ticks = linear_ticks(min(shade), max(shade), about=5) if max(shade) > min(shade) else shade[:1]
        bar.set_ticks(ticks, labels=[tick_label(tick, axes.colour) for tick in ticks])
    _draw_numbered(canvas, drawn)
    if drawn.reference:
        name, latency_ms = drawn.reference
        canvas.axvline(latency_ms, color=REFERENCE, linestyle="--", linewidth=1.2, label=f"{name} (reference)")
    _frame(canvas, drawn)


def _draw_numbered(canvas: "Canvas", drawn: Picture) -> None:
    x = [coordinate(entry.point, drawn.axes.x) for entry in drawn.numbered]
    y = [coordinate(entry.point, drawn.axes.y) for entry in drawn.numbered]
    face = FRONT if drawn.axes.colour is None else "none"
    canvas.errorbar(x, y, yerr=bars(drawn), fmt="none", ecolor=FRONT, elinewidth=0.9, capsize=2.5, alpha=0.55, zorder=2)
    canvas.scatter(x, y, s=30, facecolors=face, edgecolors=FRONT, linewidths=1.2, zorder=5)
    for entry, x_, y_ in zip(drawn.numbered, x, y, strict=True):
        label = canvas.annotate(
            units.marked(str(entry.number), entry.doubt),
            (x_, y_),
            (-5, 4),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=FRONT,
        )
        label.set_in_layout(False)


def _frame(canvas: "Canvas", drawn: Picture) -> None:
    scale_canvas(canvas, drawn.scales)
    canvas.set_title(f"Front of {drawn.study.name}", loc="left", fontsize=12, fontweight="bold")
    plain_frame(canvas)
    note = "\n".join(doubt_note(entry.record for entry in drawn.numbered if entry.doubt))
    if note:
        canvas.annotate(note, (0, 0), (0, -44), "axes fraction", textcoords="offset points", va="top", fontsize=8)
    canvas.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=9)


def _figure(drawn: Picture) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_trace(go.Scatter(**_trial_trace(drawn)))
    if drawn.axes.colour is None:
        figure.add_trace(go.Scatter(**_front_line(drawn)))
    else:
        figure.add_trace(go.Scatter(**_front_marks(drawn)))
    figure.add_trace(go.Scatter(**_numbered_trace(drawn)))
    if drawn.reference:
        name, latency_ms = drawn.reference
        figure.add_vline(latency_ms, line={"color": REFERENCE, "dash": "dash", "width": 1.5})
        line = {"color": REFERENCE, "dash": "dash", "width": 1.5}
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="lines", line=line, name=f"{name} (reference)"))
    figure.update_layout(scaled_layout(drawn.scales))
    return figure


def _trial_trace(drawn: Picture) -> dict[str, Any]:
    """Makes one trace with gaps for all frontiers: one legend entry, and fast with a thousand trials."""
    x: list[float | None] = []
    y: list[float | None] = []
    texts: list[str] = []
    for record in drawn.records:
        line_x, line_y, line_texts = trial_line(drawn, record)
        x, y, texts = [*x, *line_x, None], [*y, *line_y, None], [*texts, *line_texts, ""]
    line = {"color": FAINT, "width": 1, "shape": "hv"}
    marker = {"size": 4, "color": FAINT}
    made = {"x": x, "y": y, "text": texts, "mode": "lines+markers", "line": line, "marker": marker, "opacity": 0.55}
    return {**made, "hovertemplate": "%{text}<extra></extra>", "name": "frontier of each trial"}


def _front_line(drawn: Picture) -> dict[str, Any]:
    line = {"color": FRONT, "width": 3, "shape": "hv"}
    return {**_places(drawn.front, drawn), "mode": "lines", "line": line, "name": "front"}


def _front_marks(drawn: Picture) -> dict[str, Any]:
    assert drawn.axes.colour is not None
    shade = [coordinate(entry.point, drawn.axes.colour) for entry in drawn.front]
    bar = {"title": {"text": drawn.axes.title(drawn.axes.colour), "side": "right"}, "thickness": 14, "outlinewidth": 0}
    marker = {"color": shade, "colorscale": "Viridis", "size": 9, "colorbar": bar}
    return {**_places(drawn.front, drawn), "mode": "markers", "marker": marker, "name": "front"}


def _numbered_trace(drawn: Picture) -> dict[str, Any]:
    low, high = bars(drawn)
    error = {"type": "data", "array": high, "arrayminus": low, "color": "rgba(18,89,168,0.45)", "thickness": 1.2}
    marker: dict[str, Any] = {"size": 9, "color": FRONT}
    if drawn.axes.colour is not None:
        marker = {"size": 13, "symbol": "circle-open", "color": FRONT, "line": {"width": 1.5}}
    places = _places(drawn.numbered, drawn)
    labels = [units.marked(str(entry.number), entry.doubt) for entry in drawn.numbered]
    text = {"mode": "markers+text", "textposition": "top left", "textfont": {"size": 11, "color": FRONT}}
    hover = {"customdata": places["text"], "hovertemplate": "%{customdata}<extra></extra>"}
    return {**places, **text, **hover, "text": labels, "marker": marker, "error_y": error, "name": "point of the table"}


def _places(entries: Sequence[FrontPoint], drawn: Picture) -> dict[str, Any]:
    return {
        "x": [coordinate(entry.point, drawn.axes.x) for entry in entries],
        "y": [coordinate(entry.point, drawn.axes.y) for entry in entries],
        "text": [description(e.record, e.point, number=e.number) for e in entries],
        "hovertemplate": "%{text}<extra></extra>",
    }
