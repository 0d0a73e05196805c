"""Parameter importance as bars, one group per quantity, as a picture and as a page.

Both drawing libraries take long to import, so they are imported where they are used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchlab.front.points import state_counts
from searchlab.record import TrialRecord
from searchlab.report import units
from searchlab.report.page import plot_page
from searchlab.report.style import FONT, FRAME, figure_html, new_figure, plain_frame, save, save_page
from searchlab.study import Study

BAR, CHANCE = "#1259a8", "#c4622d"


@dataclass(frozen=True)
class Bars:
    """Contents of the plot: importance shares by quantity and parameter, and the number of trials.

    Shares below `chance` may be chance. `conditional` parameters are not in every trial, and have no share.
    """

    study: Study
    records: Sequence[TrialRecord]
    shares: Mapping[str, Mapping[str, float]]
    chance: Mapping[str, float]
    trials: int
    conditional: Sequence[str] = ()

    @property
    def parameters(self) -> list[str]:
        """Returns parameters from the bottom up: the most important one for the last quantity is on top."""
        last = list(self.shares.values())[-1]
        return sorted(last, key=lambda name: (last[name], name))


def write_importance_html(path: Path, bars: Bars) -> None:
    """Writes the interactive page; plotly.js is in the file, so that it needs no network."""
    page = plot_page(bars.study, _title(bars), [_explanation(bars)], figure_html(_figure(bars)))
    save_page(page, path)


def write_importance_png(path: Path, bars: Bars) -> None:
    """Writes the picture, 2200 pixels wide, as high as the parameters need."""
    figure = new_figure(11, 1.6 + 0.28 * len(bars.parameters))
    row = figure.subplots(1, len(bars.shares), sharey=True, squeeze=False)[0]
    for canvas, (label, shares) in zip(row, bars.shares.items(), strict=True):
        canvas.barh(bars.parameters, [100 * shares[name] for name in bars.parameters], color=BAR, height=0.7)
        canvas.axvline(100 * bars.chance[label], color=CHANCE, linestyle="--", linewidth=1)
        canvas.set_title(label, loc="left", fontsize=10)
        canvas.set_xlim(0, 100 * _widest(bars))
        canvas.set_xlabel("share of importance (%)")
        plain_frame(canvas, grid="x")
    figure.suptitle(_title(bars), x=0.01, ha="left", fontsize=12, fontweight="bold")
    save(figure, path)


def _figure(bars: Bars) -> Any:
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=1,
        cols=len(bars.shares),
        subplot_titles=list(bars.shares),
        shared_yaxes=True,
        horizontal_spacing=0.03,
    )
    for column, (label, shares) in enumerate(bars.shares.items(), start=1):
        values = [100 * shares[name] for name in bars.parameters]
        hover = "<b>%{y}</b>: %{x:.1f} %<extra></extra>"
        bar = {"type": "bar", "orientation": "h", "x": values, "y": bars.parameters, "hovertemplate": hover}
        figure.add_trace(bar | {"marker": {"color": BAR}}, row=1, col=column)
        line = {"color": CHANCE, "dash": "dash", "width": 1.5}
        figure.add_vline(100 * bars.chance[label], line=line, row=1, col=column)
        x_axis = {"range": [0, 100 * _widest(bars)], "title": {"text": "share of importance (%)"}}
        figure.update_xaxes(FRAME | x_axis, row=1, col=column)
    figure.update_layout(
        template="none",
        height=150 + 26 * len(bars.parameters),
        margin={"l": 20, "r": 20, "t": 80, "b": 60},
        font=FONT,
        showlegend=False,
    )
    figure.update_yaxes(automargin=True)
    return figure


def _widest(bars: Bars) -> float:
    return 1.05 * max(*(max(shares.values()) for shares in bars.shares.values()), *bars.chance.values())


def _explanation(bars: Bars) -> str:
    unfit = ("stopped", "infeasible", "failed")
    others = {state: number for state, number in state_counts(bars.records).items() if state in unfit}
    left_out = ", ".join(f"{number} {state}" for state, number in others.items())
    unseen = (
        f" Not included: {left_out}. So parameters that stop trials or exceed limits are underrated."
        if left_out
        else ""
    )
    conditional = ", ".join(bars.conditional)
    only_some = f" Excluded, because not every trial has them: {conditional}." if conditional else ""
    return (
        "Importance is the share of the variance between trials that each parameter explains alone (functional ANOVA), "
        "divided by the sum of these shares. It is shown for a trial's best accuracy, the costs of its whole network "
        "(without early exits), and the hypervolume of its own frontier. "
        "A bar that ends before the dashed line may be chance: with shuffled values, some parameter "
        "had an equally large share. "
        f"Based on {units.counted(bars.trials, 'complete trial')}.{unseen}{only_some}"
    )


def _title(bars: Bars) -> str:
    return f"Importance of the parameters of {bars.study.name}"
