"""Learning curves: loss and validation error by epoch, one line per trial, as a picture and as a page.

Both drawing libraries take long to import, so they are imported where they are used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.errors import UserError
from searchlab.record import TrialRecord
from searchlab.report.axes import is_logarithmic, linear_ticks, log_ticks, padded
from searchlab.report.page import plot_page
from searchlab.report.style import FONT, FRAME, figure_html, new_figure, plain_frame, save, save_page
from searchlab.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Canvas

HUES = (
    *(("#083468", "#6fb0e6"), ("#8a3200", "#f2a35e"), ("#0b5a2c", "#79c98d")),
    *(("#4d2173", "#c096d8"), ("#7d1030", "#e88aa2"), ("#4b4b2a", "#b5b58c")),
)
"""First and last shade of the lines of one kind of architecture."""

DASHES: tuple[tuple[int, ...], ...] = ((), (6, 2), (2, 1), (8, 2, 2, 2), (4, 2, 1, 2, 1, 2))
"""Dash patterns of the lines of one kind: strokes and gaps, in line widths."""


@dataclass(frozen=True)
class Line:
    """Learning curve of a trial. `looked` are the epochs with a validation error, `errors`, in percent."""

    name: str
    colour: str
    dashes: tuple[int, ...]
    epochs: tuple[int, ...]
    losses: tuple[float, ...]
    looked: tuple[int, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True)
class Panel:
    """One of the two diagrams: its title, and x and y of every line."""

    title: str
    places: tuple[tuple[tuple[int, ...], tuple[float, ...]], ...]

    @property
    def logarithmic(self) -> bool:
        """Whether the y axis is logarithmic."""
        return is_logarithmic(self._values)

    @property
    def y_range(self) -> tuple[float, float]:
        """Returns the range of the y axis."""
        return padded(min(self._values), max(self._values), logarithmic=self.logarithmic)

    @property
    def y_ticks(self) -> list[float]:
        """Returns the ticks of the y axis."""
        ticks = log_ticks(*self.y_range) if self.logarithmic else []
        return ticks if len(ticks) > 1 else linear_ticks(*self.y_range)

    @property
    def _values(self) -> list[float]:
        return [value for _, values in self.places for value in values]


def lines_of(study: Study, records: Sequence[TrialRecord]) -> tuple[Line, ...]:
    """Returns a line for every trained trial, by its row's name; one hue per kind of architecture.

    Raises:
        UserError: none was trained with `Study.curves`.
    """
    kinds: dict[str, list[TrialRecord]] = {}
    for record in sorted((r for r in records if any(e.accuracy for e in r.curve)), key=lambda record: record.number):
        kinds.setdefault(record.candidate.architecture.kind, []).append(record)
    if not kinds:
        allowed = "needs a trial that is trained, and curves=True"
        raise UserError("no-results", "no curves to plot", where=f"study {study.name}", allowed=allowed)
    return tuple(
        _line(study, record, _shade(hue, place / max(1, len(alike) - 1)), DASHES[place % len(DASHES)])
        for hue, alike in zip(cycle(HUES), kinds.values(), strict=False)
        for place, record in enumerate(alike)
    )


def _line(study: Study, record: TrialRecord, colour: str, dashes: tuple[int, ...]) -> Line:
    looked = [row for row in record.curve if row.accuracy]
    return Line(
        name=record.row or f"trial {record.number}",
        colour=colour,
        dashes=dashes,
        epochs=tuple(row.epoch for row in record.curve),
        losses=tuple(row.loss for row in record.curve),
        looked=tuple(row.epoch for row in looked),
        errors=tuple(100 * (1 - row.accuracy[-1]) for row in looked),
    )


def _shade(hue: tuple[str, str], share: float) -> str:
    """Interpolates a colour between the ends of a hue."""
    first, last = (bytes.fromhex(end[1:]) for end in hue)
    return "#" + bytes(round(a + share * (b - a)) for a, b in zip(first, last, strict=True)).hex()


def panels(lines: Sequence[Line]) -> tuple[Panel, Panel]:
    """Returns the diagrams of validation error and training loss."""
    return (
        Panel("error on the validation split (%)", tuple((line.looked, line.errors) for line in lines)),
        Panel("training loss", tuple((line.epochs, line.losses) for line in lines)),
    )


def _epoch_ticks(lines: Sequence[Line]) -> list[int]:
    last = max(line.epochs[-1] for line in lines)
    return sorted({1, *(round(tick) for tick in linear_ticks(0, last) if tick >= 2)}) if last > 1 else [1]


def write_convergence_png(path: Path, study: Study, records: Sequence[TrialRecord]) -> None:
    """Writes the picture, 2200 by 1000 pixels.

    Raises:
        UserError: there are no curves.
    """
    lines = lines_of(study, records)
    figure = new_figure(11, 5)
    for canvas, panel in zip(figure.subplots(1, 2), panels(lines), strict=True):
        _draw(canvas, panel, lines)
    handles, names = canvas.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right upper", frameon=False, fontsize=9, handlelength=3)
    figure.suptitle(_title(study), x=0.01, ha="left", fontsize=12, fontweight="bold")
    save(figure, path)


def _draw(canvas: "Canvas", panel: Panel, lines: Sequence[Line]) -> None:
    for line, (x, y) in zip(lines, panel.places, strict=True):
        style: Any = (0, line.dashes) if line.dashes else "-"
        mark = "o" if len(x) == 1 else ""
        canvas.plot(x, y, color=line.colour, linestyle=style, linewidth=1.4, marker=mark, label=line.name)
    ticks = _epoch_ticks(lines)
    canvas.set_xticks(ticks, labels=[str(tick) for tick in ticks])
    canvas.set_yscale("log" if panel.logarithmic else "linear")
    canvas.set_ylim(*panel.y_range)
    canvas.set_yticks(panel.y_ticks, labels=[f"{tick:g}" for tick in panel.y_ticks])
    canvas.set_yticks([], minor=True)
    canvas.set_xlabel("epoch")
    canvas.set_title(panel.title, loc="left", fontsize=10)
    plain_frame(canvas)


def write_convergence_html(path: Path, study: Study, records: Sequence[TrialRecord]) -> None:
    """Writes the interactive page; plotly.js is in the file, so that it needs no network.

    Raises:
        UserError: there are no curves.
    """
    page = plot_page(study, _title(study), [_explanation(study)], figure_html(_figure(lines_of(study, records))))
    save_page(page, path)


def _figure(lines: Sequence[Line]) -> Any:
    from plotly.subplots import make_subplots

    both = panels(lines)
    figure = make_subplots(rows=1, cols=2, subplot_titles=[panel.title for panel in both], horizontal_spacing=0.08)
    for column, panel in enumerate(both, start=1):
        for line, (x, y) in zip(lines, panel.places, strict=True):
            # One legend entry for both diagrams: a click hides the line in both.
            legend = {"name": line.name, "legendgroup": line.name, "showlegend": column == 1}
            dash = ",".join(f"{2 * length}px" for length in line.dashes) or "solid"
            stroke = {"color": line.colour, "width": 2, "dash": dash}
            look = {"mode": "lines" if len(x) > 1 else "markers", "line": stroke}
            hover = f"<b>{escape(line.name)}</b><br>epoch %{{x}}: %{{y:.4g}}<extra></extra>"
            made = {"type": "scatter", "x": x, "y": y, "marker": {"color": line.colour}, "hovertemplate": hover}
            figure.add_trace({**made, **look, **legend}, row=1, col=column)
        figure.update_xaxes(FRAME | {"title": "epoch", "tickvals": _epoch_ticks(lines)}, row=1, col=column)
        ticks = {"tickvals": panel.y_ticks, "ticktext": [f"{tick:g}" for tick in panel.y_ticks]}
        figure.update_yaxes(FRAME | ({"type": "log", **ticks} if panel.logarithmic else {}), row=1, col=column)
    figure.update_layout(
        template="none",
        height=560,
        margin={"l": 60, "r": 20, "t": 50, "b": 60},
        font=FONT,
        hoverlabel={"align": "left"},
    )
    return figure


def _explanation(study: Study) -> str:
    return (
        f"Every line is a trial, trained on {study.data} for up to {study.epochs} epochs. The error is the "
        "final head's on the validation split after every epoch; the loss is the training loss of all exits. "
        "Shades of one hue are one kind of architecture. Click a name to hide its line, twice to hide the others."
    )


def _title(study: Study) -> str:
    return f"Convergence of {study.name}"
