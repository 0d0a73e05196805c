"""A front with its replicates: table, summary sentences, JSON, and a pandas frame."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from searchlab.front.points import deciding_score, exit_names, size_of
from searchlab.front.replicates import FEWEST_SEEDS, Mean, Optimism, Repeated, Replicate, Split, optimism, reach
from searchlab.objective import OBJECTIVES, Objective
from searchlab.operating_point import Estimate
from searchlab.report import units
from searchlab.report.frames import front_frame
from searchlab.report.layout import FirstThatFits, Footer, figures, plain_table, words
from searchlab.report.payloads import Plain, point_payload
from searchlab.report.tables import shown_of
from searchlab.study import Study

SPREAD = ("latency_ms", "macs")
"""Costs that vary with the seed. Parameters do not: the exits in use stay the same."""


def replicates_view(study: Study, front: Sequence[Repeated], replicates: Sequence[Replicate]) -> RenderableType:
    """Returns one line per point: its original figures and those of fresh seeds; then the selection bias in words."""
    tables = [_table(study, front, tall=tall, gap=gap) for tall in (False, True) for gap in (3, 2, 1)]
    sentences = [Text(line) for line in (*optimism_lines(optimism(front)), *doubt_lines(front), *_failures(replicates))]
    shown = shown_of([entry.picked for entry in front], f"front {study.name} --replicates")
    footer = Footer((counted(replicates), f"next: searchlab plot {study.name} --replicates"))
    return Group(
        FirstThatFits(tuple(tables)), Text(""), *([Footer(shown)] if shown else []), *sentences, Text(""), footer
    )


def _table(study: Study, front: Sequence[Repeated], *, tall: bool, gap: int) -> Table:
    columns = [figures("point"), figures("trial"), figures("fresh\nseeds"), figures("accuracy\nas selected")]
    columns += [figures("fresh seeds\n(validation)"), figures("fresh seeds\n(test)")]
    for cost in costs_of(study):
        columns += [figures(f"{cost.label}\nas selected"), figures("fresh seeds\n(test)")]
    columns += [words("exits used\nscore")] if tall else [words("exits used"), words("score")]
    return plain_table(columns, [_cells(study, point, tall=tall) for point in front], gap=gap)


def _cells(study: Study, entry: Repeated, *, tall: bool) -> list[str]:
    picked, between = entry.picked, "\n" if tall else " "
    accuracies = [accuracy_cell(entry.mean("accuracy", split), between) for split in ("validation", "test")]
    costs = []
    for cost in costs_of(study):
        costs += [
            amount(getattr(picked.point, cost.name), cost),
            cost_cell(entry.mean(cost.name, "test"), cost, between),
        ]
    exits, score = ", ".join(exit_names(picked.record.candidate, picked.point.rule)), deciding_score(picked.point.rule)
    names = [exits, *([score] if score else [])] if tall else [exits, score or units.NOTHING]
    return [
        *(str(picked.number), str(picked.record.number), str(len(entry.readings))),
        *(units.percent(picked.point.accuracy), *accuracies, *costs),
        *(["\n".join(names)] if tall else names),
    ]


def costs_of(study: Study) -> list[Objective]:
    """Returns the study's costs to show: those that vary; MACs if none does."""
    found = [objective for objective in study.objectives if objective.name in SPREAD]
    return found or [OBJECTIVES["macs"]]


def accuracy_cell(mean: Mean | None, between: str = " ") -> str:
    """Formats "96.4 % [95.1, 97.6]"; of two seeds "96.4 % (96.1 to 96.7)"; of one the value alone."""
    if mean is None or mean.interval is None:
        value, ends = units.percent(mean.value if mean else None), mean and mean.ends
        return f"{value}{between}({100 * ends[0]:.1f} to {100 * ends[1]:.1f})" if ends else value
    return f"{units.percent(mean.value)}{between}{units.percent_interval(Estimate(mean.value, *mean.interval))}"


def cost_cell(mean: Mean | None, cost: Objective, between: str = " ") -> str:
    """Formats "0.412 ms [.405, .419]", or of MACs "4.1 M [4.0 M, 4.2 M]"; of two seeds "4.1 M (4.0 M to 4.2 M)"."""
    if mean is None or mean.interval is None:
        value, ends = amount(mean.value if mean else None, cost), mean and mean.ends
        return f"{value}{between}({amount(ends[0], cost)} to {amount(ends[1], cost)})" if ends else value
    if cost.unit == "ms":
        interval = units.latency_interval(Estimate(mean.value, *mean.interval))
    else:
        interval = f"[{', '.join(units.count(end) for end in mean.interval)}]"
    return f"{amount(mean.value, cost)}{between}{interval}"


def amount(value: float | None, cost: Objective) -> str:
    """Formats a cost in its unit."""
    return units.milliseconds(value) if cost.unit == "ms" else units.count(value)


def _failures(replicates: Sequence[Replicate]) -> list[str]:
    lost = [each for each in replicates if each.record.state != "complete"]
    return [f"Trial {each.trial}, fresh seed {each.run}: {each.record.state}, {each.record.reason}" for each in lost]


def counted(replicates: Sequence[Replicate]) -> str:
    """Returns "12 replicates: 11 complete, 1 failed"."""
    states = ", ".join(f"{number} {state}" for state, number in Counter(r.record.state for r in replicates).items())
    return f"{units.counted(len(replicates), 'replicate')}: {states}"


def optimism_lines(found: Optimism | None) -> list[str]:
    """Returns the selection bias of the front's accuracies in words."""
    if found is None:
        return ["No replicate is complete: fresh seeds have no results yet."]
    points = "the point was" if found.points == 1 else f"the {found.points} points were"
    lost = 100 * found.lost.value
    seen = f"{abs(lost):.1f} points {'less' if lost >= 0 else 'more'}"
    ends = found.lost.interval
    if ends is not None:
        low, high = sorted(end if lost >= 0 else -end for end in (100 * ends[0], 100 * ends[1]))
        seen += f" [{low:.1f}, {high:.1f}]" + (", which may be chance" if low <= 0 <= high else "")
    average = "" if found.points == 1 else " on average"
    return [
        f"Selection bias: {points} selected at {units.percent(found.picked)} of the validation split{average}; "
        f"fresh seeds reach {units.percent(found.validation.value)} there: {seen}. "
        f"On the test split they reach {accuracy_cell(found.test)}."
    ]


def doubt_lines(front: Sequence[Repeated]) -> list[str]:
    """Explains the intervals, and the ranges that replace them if there are too few seeds."""
    seeds = {len(entry.readings) for entry in front if entry.readings}
    enough = [number for number in seeds if number >= FEWEST_SEEDS]
    lines = []
    if seeds == {1}:
        lines.append(f"One seed gives no interval: use --seeds {FEWEST_SEEDS} or more.")
    if 2 in seeds:
        lines.append(
            f"( ) shows the lower and the higher value of two seeds; an interval needs --seeds {FEWEST_SEEDS} or more."
        )
    if enough:
        fewest = min(enough)
        more = 10 if fewest < 6 else 3 * fewest
        lines.append(
            f"[ ] is a 95 % t interval over seeds: with {fewest} it reaches {reach(fewest):.1f} standard deviations to "
            f"either side, with {more} it would be {reach(more):.1f}. The images are the same for all seeds. Equal "
            "values for all seeds give no interval."
        )
    return lines


def replicates_payload(study: Study, front: Sequence[Repeated], replicates: Sequence[Replicate]) -> Plain:
    """Returns the front with its replicates. A mean is {"value", "low", "high"}; the ends may be null."""
    found = optimism(front)
    average: Plain | None = None
    if found is not None:
        means = {name: _plain(getattr(found, name)) for name in ("validation", "test", "lost")}
        average = {"points": found.points, "candidates": found.candidates, "picked": found.picked, **means}
    return {
        "study": study.name,
        "points": [repeated_payload(study, entry) for entry in front],
        "points_total": size_of([entry.picked for entry in front]),
        "optimism": average,
        "replicates": [_trained(replicate) for replicate in replicates],
    }


def _trained(replicate: Replicate) -> Plain:
    record = replicate.record
    ended = {"seed": record.seed, "state": record.state, "reason": record.reason, "directory": record.directory}
    return {"trial": replicate.trial, "run": replicate.run, **ended}


def repeated_payload(study: Study, entry: Repeated) -> Plain:
    """Returns a point as in `front --json`, with means over its fresh seeds; "fresh" lists the seeds."""
    shown = _shown(study)
    seeds = [{f"{split}_{name}": getattr(getattr(r, split), name) for name, split in shown} for r in entry.readings]
    means = {f"fresh_{split}_{name}": _plain(entry.mean(name, split)) for name, split in shown}
    return {**point_payload(entry.picked), "seeds": len(entry.readings), **means, "fresh": seeds}


def _shown(study: Study) -> list[tuple[str, Split]]:
    """Returns the figures of fresh seeds."""
    return [("accuracy", "validation"), ("accuracy", "test"), *((cost.name, "test") for cost in costs_of(study))]


def _plain(mean: Mean | None) -> Plain | None:
    if mean is None:
        return None
    low, high = mean.interval or (None, None)
    return {"value": mean.value, "low": low, "high": high}


def replicates_frame(study: Study, front: Sequence[Repeated]) -> pd.DataFrame:
    """Returns one row per point: the columns of `front_frame`, then fresh seeds; a mean is x, x_low, x_high."""
    picked = front_frame([entry.picked for entry in front])
    fresh: list[Plain] = []
    for entry in front:
        row: Plain = {"seeds": len(entry.readings)}
        for name, split in _shown(study):
            parts = _plain(entry.mean(name, split)) or {"value": None, "low": None, "high": None}
            row |= {f"fresh_{split}_{name}{'' if end == 'value' else f'_{end}'}": parts[end] for end in parts}
        fresh.append(row)
    return pd.concat([picked, pd.DataFrame(fresh)], axis=1)
