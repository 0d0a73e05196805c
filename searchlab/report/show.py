"""All data of one trial, or of one point of a front, as tables."""

from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from searchlab.candidate import Candidate, Head
from searchlab.front.pareto import thin, values_of
from searchlab.front.points import FrontPoint, deciding_score, doubt_of, exit_names, latency_estimate, times_reference
from searchlab.operating_point import Estimate, OperatingPoint
from searchlab.record import DIFFERENCE, LatencyReport, SegmentCost, TrialRecord
from searchlab.report import architectures, units
from searchlab.report.layout import facts, figures, plain_table, titled, words
from searchlab.report.payloads import exit_accuracies
from searchlab.report.tables import accuracy_cell, latency_cell
from searchlab.serialization import to_plain
from searchlab.study import Study


def trial_view(study: Study, record: TrialRecord, kept: str = "") -> RenderableType:
    """A trial: how it ended, its candidate, its parts, its frontier (at most 12 points), its latency.

    `kept` are the options that say where the study is kept (" --output demo"), for the command that goes on with it.
    """
    ended = [("state", record.state), *([("reason", record.reason)] if record.reason else [])]
    ran = f"{record.epochs} epochs, {units.seconds(record.seconds.total)} (seed {record.seed})"
    if record.state in ("running", "interrupted"):
        ran = f"not to its end (seed {record.seed})"
    if record.state == "interrupted":
        ended.append(("next", f"searchlab resume {study.name}{kept}"))
    blocks = [titled(f"trial {record.number} of study {study.name}", facts([*ended, ("trained", ran)]))]
    blocks += [_candidate(record.candidate), *_parts(record, None)]
    if record.frontier and record.frontier.points:
        blocks.append(_frontier(study, record))
    return _stacked([*blocks, *_measured(record), _origin(study, record)])


def point_view(study: Study, entry: FrontPoint) -> RenderableType:
    """Returns the tables of a front point: figures, candidate, parts, exits in use, latency."""
    record, point = entry.record, entry.point
    latency, times = entry.latency, entry.times_reference
    gives = [("accuracy (validation)", _share(point.accuracy_estimate, point))]
    if entry.test:
        gives.append(("accuracy (test)", _share(entry.test.accuracy_estimate, entry.test)))
    if latency:
        gives.append(("latency p50", units.marked(latency_cell(latency), entry.doubt)))
    if times and record.latency:
        gives.append(
            (f"× {record.latency.reference_name}", f"{units.ratio(times.value)} {units.ratio_interval(times)}")
        )
    gives.append(("MACs, parameters", f"{units.count(point.macs)}, {units.count(point.params)}"))
    title = f"point {entry.number} of study {study.name} (trial {record.number})"
    blocks = [titled(title, facts(gives)), _exits(record, point), _candidate(record.candidate), *_parts(record, point)]
    return _stacked([*blocks, *_measured(record), _origin(study, record)])


def _candidate(candidate: Candidate) -> Group:
    architecture = to_plain(candidate.architecture)
    exits = [f"cut {exit.cut} ({_head(exit.head)}, loss_weight={exit.loss_weight:g})" for exit in candidate.exits]
    rows = [
        ("architecture", architectures.described(candidate.architecture)),
        ("in full", f"{architecture.pop('kind')}: {_named(architecture)}"),
        ("exits", ", ".join([*exits, f"final ({_head(candidate.final)})"])),
        ("training", _named(to_plain(candidate.training))),
    ]
    return titled(f"candidate {candidate.id}", facts(rows))


def _head(head: Head) -> str:
    return _named(to_plain(head), sep=", ")


def _named(fields: dict[str, Any], sep: str = " ") -> str:
    parts = [f"{k}: {_value(v)}" if isinstance(v, dict) else f"{k}={_value(v)}" for k, v in fields.items()]
    return sep.join(parts)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return f"({_named(value)})"
    if isinstance(value, list):
        return ",".join(_value(item) for item in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parts(record: TrialRecord, point: OperatingPoint | None) -> list[Group]:
    """Returns parameters, MACs and latency of every stage and head; with a point, marks the parts that it uses."""
    cost = record.cost
    if cost is None:
        return []
    segments = record.latency.segments if record.latency else None
    used = set(point.rule.exits if point else range(len(cost.heads)))
    last = cost.cuts[max(used)]
    cells = [*_segments(cost.stages, segments.stages_ms if segments else ())]
    cells += _segments(cost.heads, segments.heads_ms if segments else ())
    in_use = [stage <= last for stage in range(len(cost.stages))] + [head in used for head in range(len(cost.heads))]
    hangs = ["" for _ in cost.stages] + [f"cut {cut}" for cut in cost.cuts]
    rows = [
        [name, hang, *figures_, "yes" if use else "no"]
        for (name, *figures_), hang, use in zip(cells, hangs, in_use, strict=True)
    ]
    if point and segments and len(used) > 1 and point.rule.score in segments.decision_ms:
        decision = units.milliseconds(segments.decision_ms[point.rule.score])
        rows.append([f"decision by {point.rule.score}", "each", units.NOTHING, units.NOTHING, decision, "yes"])
    rows.append(["all", "", units.count(cost.params), units.count(cost.macs), _whole(record.latency), ""])
    columns = [words("part"), words("at"), figures("params"), figures("MACs"), figures("latency p50"), words("in use")]
    if point is None:
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return [titled("stages and heads", plain_table(columns, rows))]


def _segments(parts: tuple[SegmentCost, ...], latencies_ms: tuple[float, ...]) -> list[list[str]]:
    return [
        [part.name, units.count(part.params), units.count(part.macs), units.milliseconds(ms)]
        for part, ms in zip_longest(parts, latencies_ms[: len(parts)])
    ]


def _whole(latency: LatencyReport | None) -> str:
    return units.milliseconds(latency.whole.p50 if latency else None)


def _exits(record: TrialRecord, point: OperatingPoint) -> Group:
    rule = point.rule
    score = deciding_score(rule)
    thresholds = [
        *(units.threshold(threshold) for threshold in rule.thresholds),
        "takes the rest" if score else "takes all",
    ]
    rows = [
        [name, threshold, units.percent(share), _estimate(accuracy)]
        for name, threshold, share, accuracy in zip(
            exit_names(record.candidate, rule), thresholds, point.shares, exit_accuracies(point), strict=True
        )
    ]
    columns = [
        words("exit (cut)"),
        figures(f"threshold ({score})" if score else "threshold"),
        figures("share"),
        figures("accuracy there"),
    ]
    return titled("exits in use", plain_table(columns, rows))


def _estimate(estimate: Estimate | None) -> str:
    return accuracy_cell(estimate) if estimate else units.NOTHING


def _share(estimate: Estimate, point: OperatingPoint) -> str:
    return f"{accuracy_cell(estimate)}, {point.correct} of {point.samples}"


def _frontier(study: Study, record: TrialRecord) -> Group:
    points = record.frontier.points if record.frontier else ()
    shown = [points[i] for i in thin(values_of(points, study.objectives), 12)]
    rows = []
    for point in shown:
        latency, times = latency_estimate(record, point), times_reference(record, point)
        exits = ", ".join(exit_names(record.candidate, point.rule))
        doubt = doubt_of(record) if latency else ""
        cell = units.marked(latency_cell(latency), doubt) if latency else units.NOTHING
        costs = [cell, units.marked(units.ratio(times.value if times else None), doubt)]
        score = deciding_score(point.rule) or units.NOTHING
        rows.append([units.percent(point.accuracy), *costs, units.count(point.macs), exits, score])
    columns = [figures("accuracy"), figures("latency p50"), figures("× ref."), figures("MACs")]
    title = f"frontier ({record.frontier.split if record.frontier else ''}), {len(shown)} of {len(points)} points"
    return titled(title, plain_table([*columns, words("exits used", wrap_from=5), words("score")], rows))


def _measured(record: TrialRecord) -> list[Group]:
    latency = record.latency
    if latency is None:
        return []
    whole, ratio, reference = latency.whole, latency.ratio, latency.reference
    tails = f"p90 {units.milliseconds(whole.p90)}, p99 {units.milliseconds(whole.p99)}"
    rows = [
        ("whole network p50", f"{latency_cell(Estimate(whole.p50, whole.low, whole.high))}, {tails}"),
        (
            f"reference {latency.reference_name}",
            f"{latency_cell(Estimate(reference.p50, reference.low, reference.high))}, "
            f"ratio {units.ratio(ratio.value)} {units.ratio_interval(ratio)}",
        ),
        ("batch size", str(latency.batch_size)),
        ("additive / end to end", _check(latency)),
        *([("in doubt", f"{units.DOUBTFUL} {latency.doubt}")] if latency.doubt else []),
        ("machine", f"{latency.machine.label}, torch {latency.machine.torch}, python {latency.machine.python}"),
        *([("driver", latency.machine.driver)] if latency.machine.driver else []),
    ]
    return [titled("latency", facts(rows))]


def _check(latency: LatencyReport) -> str:
    check = latency.check or latency.mixed
    if check is None:
        return "not compared"
    limit = DIFFERENCE[latency.machine.device]
    verdict = f"more than {limit:.0%}: mistrust it" if abs(check.error) > limit else f"within {limit:.0%}"
    verdict += "" if latency.check else ", over noise that leaves at every exit in turn"
    both = f"{units.milliseconds(check.additive_ms)} against {units.milliseconds(check.end_to_end_ms)}"
    return f"{both}, {100 * check.error:+.1f} % ({verdict})"


def _origin(study: Study, record: TrialRecord) -> Group:
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    images = units.images(record.data.images) if record.data.images else ""
    rows = [
        ("artefacts", record.directory),
        ("data", study.data),
        ("images", images),
        ("hash of the data", record.data.hash),
        ("versions", versions),
    ]
    return titled("where it is", facts([(name, text) for name, text in rows if text]))


def _stacked(blocks: Iterable[RenderableType]) -> Group:
    spaced = [part for block in blocks for part in (block, Text(""))]
    return Group(*spaced[:-1])
