"""Style and output of plots, for both libraries. Both take long to import, so they are imported in functions."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.objective import Objective
from searchlab.report.axes import Axes, linear_ticks, log_ticks, tick_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Canvas
    from matplotlib.figure import Figure

GRID = "#e8edf1"

FRAME: dict[str, Any] = {"gridcolor": GRID, "linecolor": "#8797a5", "zeroline": False, "ticks": "outside"}
"""Style of every axis of a page."""

FONT = {"family": 'system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif', "size": 13, "color": "#1c2733"}
"""Font of a page's plots, that of the page itself."""

LAYOUT: dict[str, Any] = {
    "template": "none",
    "height": 590,
    "margin": {"l": 70, "r": 20, "t": 70, "b": 60},
    "font": FONT,
    "hoverlabel": {"bgcolor": "white", "align": "left"},
    "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
}
"""Layout of a page's figure with the legend above."""


@dataclass(frozen=True)
class Scales:
    """Axes of a front's plot: objectives and ranges; `logarithmic` is whether the cost axis is logarithmic."""

    axes: Axes
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    logarithmic: bool

    @property
    def x_ticks(self) -> list[float]:
        """Returns the ticks of the cost axis."""
        ticks = log_ticks(*self.x_range) if self.logarithmic else []
        return ticks if len(ticks) > 1 else linear_ticks(*self.x_range)


def new_figure(width: float = 8, height: float = 5) -> "Figure":
    """Makes an empty picture of `width` by `height` inches at 200 dots per inch.

    It does not use pyplot, which would need a display and keep every figure. Agg draws a Figure without it.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=200, layout="constrained")


def save(figure: "Figure", path: Path) -> None:
    """Writes a picture file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def save_page(page: str, path: Path) -> None:
    """Writes an HTML file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def figure_html(figure: Any) -> str:
    """Makes the HTML of a plotly figure, plotly.js included, so that the page needs no network."""
    html: str = figure.to_html(
        full_html=False, include_plotlyjs=True, config={"displaylogo": False, "responsive": True}
    )
    return html


def plain_frame(canvas: "Canvas", *, grid: str = "both") -> None:
    """Adds a faint grid behind the marks, and a frame that is open above and to the right."""
    canvas.grid(color=GRID, linewidth=0.8, axis=grid)  # type: ignore[arg-type]
    canvas.set_axisbelow(True)
    canvas.spines[["top", "right"]].set_visible(False)


def scale_canvas(canvas: "Canvas", scales: Scales) -> None:
    """Sets ranges, ticks and titles of a picture's axes."""
    axes, y_ticks = scales.axes, linear_ticks(*scales.y_range)
    canvas.set_xscale("log" if scales.logarithmic else "linear")
    canvas.set_xlim(*scales.x_range)
    canvas.set_ylim(*scales.y_range)
    canvas.set_xticks(scales.x_ticks, labels=[tick_label(tick, axes.x) for tick in scales.x_ticks])
    canvas.set_xticks([], minor=True)
    canvas.set_yticks(y_ticks, labels=[tick_label(tick, axes.y) for tick in y_ticks])
    canvas.set_xlabel(axes.title(axes.x))
    canvas.set_ylabel(axes.title(axes.y))


def scaled_layout(scales: Scales) -> dict[str, Any]:
    """Sets ranges, ticks and titles of a page's axes, and the rest of its layout."""
    x, y = scales.axes.x, scales.axes.y
    x_axis: dict[str, Any] = {"range": list(scales.x_range), "tickformat": _tick_format(x)}
    if scales.logarithmic:
        # Plotly labels the ticks of a logarithmic axis with a bare 2 and 5; ticks of a linear axis follow the zoom.
        labels = [tick_label(tick, x) for tick in scales.x_ticks]
        ends = [math.log10(end) for end in scales.x_range]
        x_axis = {"type": "log", "range": ends, "tickvals": scales.x_ticks, "ticktext": labels}
    y_axis = {"range": list(scales.y_range), "tickformat": _tick_format(y)}
    return LAYOUT | {
        "xaxis": FRAME | x_axis | {"title": {"text": scales.axes.title(x)}},
        "yaxis": FRAME | y_axis | {"title": {"text": scales.axes.title(y), "standoff": 8}},
    }


def _tick_format(objective: Objective) -> str:
    return "" if objective.unit in ("%", "ms") else "~s"
