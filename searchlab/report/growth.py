"""Hypervolume against training spent: as text, spark line, plain data, picture and page.

Both drawing libraries take long to import, so they are imported where they are used.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from searchlab.errors import UserError
from searchlab.front.history import SearchHistory, Step
from searchlab.report import units
from searchlab.report.axes import linear_ticks, padded
from searchlab.report.page import plot_page
from searchlab.report.payloads import Plain
from searchlab.report.style import FRAME, LAYOUT, figure_html, new_figure, plain_frame, save, save_page

LINE, NOISE = "#1259a8", "rgba(18,89,168,0.13)"

MARKS = {"complete": "#1259a8", "stopped": "#c79a1b", "failed": "#b3261e"}
"""Colour of a trial by its final state, for states that include training."""

SPARKS, SPARKS_WIDE = " ▁▂▃▄▅▆▇█", 24

BAND = "growth that may be chance (one standard error)"

X_TITLE, Y_TITLE = "training spent (epochs × MACs per image)", "hypervolume"


def standing(history: SearchHistory) -> str:
    """Returns "Hypervolume 0.756 after 480 epochs; training spent: 1.9 G (epochs × MACs per image)"."""
    last = history.last
    if last is None:
        return "No trial has ended"
    spent = f"training spent: {units.count(last.training)} (epochs × MACs per image)"
    return f"Hypervolume {last.hypervolume:.3f} after {units.counted(last.epochs, 'epoch')}; {spent}"


def sparkline(history: SearchHistory, width: int = SPARKS_WIDE) -> str:
    """Returns a spark line: hypervolume at equal steps of training, from the first front to the last."""
    steps = history.trained
    if not steps:
        return ""
    ends, volumes = [step.training for step in steps], [0.0, *(step.hypervolume for step in steps)]
    shown = [volumes[bisect_right(ends, ends[-1] * (cell + 1) / width)] for cell in range(width)]
    low = min((volume for volume in volumes if volume), default=0.0)
    height = (len(SPARKS) - 2) / ((volumes[-1] - low) or 1.0)
    return "".join(SPARKS[1 + int((volume - low) * height) if volume else 0] for volume in shown)


def growth_payload(history: SearchHistory) -> Plain:
    """Returns every step as plain data with the reference point; a null cost there means infinite."""
    rows = [
        {
            "trial": step.record.number,
            "state": step.record.state,
            "trained": step.trained,
            "epochs": step.epochs,
            "training": step.training,
            "hypervolume": step.hypervolume,
        }
        for step in history.steps
    ]
    reference = {objective.name: None if objective.sign > 0 else 0.0 for objective in history.study.objectives}
    scales, noise = history.cost_scales, history.noise
    return {"reference_point": reference, "cost_scales": scales, "standard_error": noise, "steps": rows}


def write_growth_html(path: Path, history: SearchHistory) -> None:
    """Writes the interactive page; plotly.js is in the file, so that it needs no network.

    Raises:
        UserError: no trial was trained.
    """
    steps = _drawn(history)
    page = plot_page(history.study, _title(history), [_explanation(history)], figure_html(_figure(history, steps)))
    save_page(page, path)


def write_growth_png(path: Path, history: SearchHistory) -> None:
    """Writes the picture, 1600 by 1000 pixels.

    Raises:
        UserError: no trial was trained.
    """
    steps = _drawn(history)
    figure = new_figure()
    canvas = figure.add_subplot()
    if band := _band(history, steps):
        canvas.axhspan(*band, color=LINE, alpha=0.13, linewidth=0, label=BAND, zorder=0)
    canvas.step(*_line(steps), where="post", color=LINE, linewidth=2, zorder=2)
    for state, colour in MARKS.items():
        alike = [step for step in steps if step.record.state == state]
        if alike:
            places = [step.training for step in alike], [step.hypervolume for step in alike]
            canvas.scatter(*places, s=22, color=colour, label=f"{state} trial", zorder=3)
    ticks = _ticks(steps)
    canvas.set_xticks(ticks, labels=[_tick_label(tick) for tick in ticks])
    canvas.set_xlabel(X_TITLE)
    canvas.set_ylabel(Y_TITLE)
    canvas.set_ylim(*_y_range(history, steps))
    canvas.set_title(_title(history), loc="left", fontsize=12, fontweight="bold")
    plain_frame(canvas)
    canvas.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False, fontsize=9)
    save(figure, path)


def _drawn(history: SearchHistory) -> list[Step]:
    if not history.trained:
        allowed = "needs at least one trial that was trained"
        raise UserError("no-results", "no trained trial to plot", where=f"study {history.study.name}", allowed=allowed)
    return history.trained


def _band(history: SearchHistory, steps: Sequence[Step]) -> tuple[float, float] | None:
    """Returns the band of growth that may be chance; None if no trial followed the first front."""
    if len(_line(steps)[0]) < 2 or not history.noise:
        return None
    return steps[-1].hypervolume - history.noise, steps[-1].hypervolume


def _line(steps: Sequence[Step]) -> tuple[list[float], list[float]]:
    """Returns x and y of the steps, from the first front on."""
    with_front = [step for step in steps if step.hypervolume] or steps
    return [step.training for step in with_front], [step.hypervolume for step in with_front]


def _y_range(history: SearchHistory, steps: Sequence[Step]) -> tuple[float, float]:
    values = [*(step.hypervolume for step in steps), *(_band(history, steps) or ())]
    return padded(min(values), max(values), logarithmic=False)


def _ticks(steps: Sequence[Step]) -> list[float]:
    return linear_ticks(0.0, steps[-1].training)


def _tick_label(value: float) -> str:
    return units.count(value).replace(".0 ", " ")


def _figure(history: SearchHistory, steps: Sequence[Step]) -> Any:
    import plotly.graph_objects as go

    x, y = _line(steps)
    figure = go.Figure()
    if band := _band(history, steps):
        figure.add_hrect(*band, fillcolor=NOISE, line_width=0)
        marker = {"size": 14, "symbol": "square", "color": NOISE}
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", marker=marker, name=BAND))
    line = {"color": LINE, "width": 2.5, "shape": "hv"}
    figure.add_trace(go.Scatter(x=x, y=y, mode="lines", line=line, name="front", hoverinfo="skip"))
    before = {step.record.number: last.hypervolume for last, step in pairwise(steps)}
    for state, colour in MARKS.items():
        alike = [step for step in steps if step.record.state == state]
        if alike:
            texts = [_description(step, step.hypervolume - before.get(step.record.number, 0.0)) for step in alike]
            places = {"x": [step.training for step in alike], "y": [step.hypervolume for step in alike]}
            look = {"mode": "markers", "marker": {"size": 8, "color": colour}, "name": f"{state} trial"}
            figure.add_trace(go.Scatter(**places, **look, text=texts, hovertemplate="%{text}<extra></extra>"))
    ticks = _ticks(steps)
    x_axis = {"tickvals": ticks, "ticktext": [_tick_label(tick) for tick in ticks], "title": {"text": X_TITLE}}
    y_axis = {"range": list(_y_range(history, steps)), "title": {"text": Y_TITLE, "standoff": 8}}
    figure.update_layout(LAYOUT | {"xaxis": FRAME | x_axis, "yaxis": FRAME | y_axis})
    return figure


def _description(step: Step, grown: float) -> str:
    record = step.record
    return "<br>".join(
        [
            f"<b>trial {record.number}</b>, {record.state} after {units.counted(record.epochs, 'epoch')}",
            f"hypervolume {step.hypervolume:.4f}" + (f" (+{grown:.4f})" if grown else ""),
            f"{units.counted(step.epochs, 'epoch')} trained in all, in {units.counted(step.trained, 'trial')}",
            f"training spent: {units.count(step.training)} (epochs × MACs per image)",
        ]
    )


def _explanation(history: SearchHistory) -> str:
    costs = [objective for objective in history.study.objectives if objective.name in history.cost_scales]
    halves = [
        f"{objective.label} of {_cost(objective.name, history.cost_scales[objective.name])}" for objective in costs
    ]
    unit = f" A cost c counts as c / (c + u), u being a {' and '.join(halves)}." if halves else ""
    band = ""
    if _band(history, history.trained):
        band = f" The band is at most one standard error of the last hypervolume, {history.noise:.4f}; growth within it"
        band += " may be chance."
    return (
        "Every mark is a trial that was trained, where it ended: how much training the study had spent by then, in "
        "epochs times the MACs of one image through the network, and the share of the space of objectives that its "
        f"front dominated. The reference point is fixed: accuracy 0 and infinite cost.{unit}{band}"
    )


def _cost(name: str, value: float) -> str:
    return units.milliseconds(value) if name == "latency_ms" else units.count(value)


def _title(history: SearchHistory) -> str:
    return f"Hypervolume of {history.study.name}"
