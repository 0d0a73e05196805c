"""All data of one trial, or of one point of a front, as tables."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from searchlab.candidate import Candidate, Head
from searchlab.front.pareto import thin, values_of
from searchlab.front.points import FrontPoint, deciding_score, doubt_of, exit_names, latency_estimate, times_reference
from searchlab.operating_point import Estimate, OperatingPoint
from searchlab.record import DIFFERENCE, LatencyReport, TrialRecord
from searchlab.report import units
from searchlab.report.layout import facts, figures, plain_table, titled, words
from searchlab.report.parts import Part, parts_of
from searchlab.report.payloads import exit_accuracies
from searchlab.report.tables import accuracy_cell, latency_cell
from searchlab.serialization import to_plain
from searchlab.study import Study

SUMS = (
    "A sample runs the parts up to the exit where it leaves. The point's latency is the mean over the samples, "
    "at most the sum of the parts in use."
)


def trial_view(study: Study, record: TrialRecord, kept: str = "") -> RenderableType:
    """Returns the tables of a trial: state, candidate, parts, frontier (at most 12 points), latency.

    `kept` are the options of the study's place (" --output demo"), for the next command.
    """
    ended = [("state", record.state), *([("reason", record.reason)] if record.reason else [])]
    ran = f"{record.epochs} epochs, {units.seconds(record.seconds.total)} (seed {record.seed})"
    if record.state in ("running", "interrupted"):
        ran = f"not finished (seed {record.seed})"
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
    exits = [
        f"after stage {exit.cut} ({_head(exit.head)}, loss_weight={exit.loss_weight:g})" for exit in candidate.exits
    ]
    rows = [
        ("architecture", candidate.architecture.described),
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
    """Returns the costs of every part and their sums; with a point, marks the parts that it uses."""
    parts = parts_of(record, point.rule if point else None)
    if not parts:
        return []
    rows = [_cells(part, "yes" if part.used else "no") for part in parts]
    if point:
        rows.append(_cells(_sum("sum of the parts in use", [part for part in parts if part.used]), ""))
    rows.append(_cells(_sum("sum of all parts", [part for part in parts if part.params is not None]), ""))
    columns = [words("part"), words("at"), figures("params"), figures("MACs"), figures("latency"), words("in use")]
    if point is None:
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    notes = [Text(SUMS, style="bright_black")] if record.latency and point else []
    return [titled("parts", Group(plain_table(columns, rows), *notes))]


def _cells(part: Part, use: str) -> list[str]:
    return [
        part.name if part.times == 1 else f"{part.name}, {part.times} times",
        part.place,
        *(units.count(part.params), units.count(part.macs), units.milliseconds(part.latency_ms), use),
    ]


def _sum(name: str, parts: Sequence[Part]) -> Part:
    known_ms = [part.latency_ms * part.times for part in parts if part.latency_ms is not None]
    params, macs = sum(part.params or 0 for part in parts), sum(part.macs or 0 for part in parts)
    return Part(name, "", params, macs, sum(known_ms) if known_ms else None)


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
        words("exit after stage"),
        figures(f"threshold ({score})" if score else "threshold"),
        figures("share"),
        figures(f"accuracy there ({record.frontier.split if record.frontier else 'validation'})"),
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
    split = record.frontier.split if record.frontier else ""
    title = f"frontier ({split}), {len(shown)} of {units.counted(len(points), 'point')}"
    return titled(title, plain_table([*columns, words("exits used", wrap_from=5), words("score")], rows))


def _measured(record: TrialRecord) -> list[Group]:
    latency = record.latency
    if latency is None:
        return []
    whole, ratio, reference = latency.whole, latency.ratio, latency.reference
    tails = f"p90 {units.milliseconds(whole.p90)}, p99 {units.milliseconds(whole.p99)}"
    rows = [
        ("without early exits p50", f"{latency_cell(Estimate(whole.p50, whole.low, whole.high))}, {tails}"),
        (
            f"reference {latency.reference_name}",
            f"{latency_cell(Estimate(reference.p50, reference.low, reference.high))}, "
            f"ratio {units.ratio(ratio.value)} {units.ratio_interval(ratio)}",
        ),
        ("batch size", str(latency.batch_size)),
        ("sum of parts / measured", _check(latency)),
        *([("compared for", _checked(record, latency))] if latency.check or latency.mixed else []),
        *([("in doubt", f"{units.DOUBTFUL} {latency.doubt}")] if latency.doubt else []),
        ("engine", latency.machine.executed_by),
        ("machine", f"{latency.machine.hardware}, torch {latency.machine.torch}, python {latency.machine.python}"),
        *([("driver", latency.machine.driver)] if latency.machine.driver else []),
    ]
    return [titled("latency", facts(rows))]


def _check(latency: LatencyReport) -> str:
    check = latency.check or latency.mixed
    if check is None:
        return "not compared"
    limit = DIFFERENCE[latency.machine.device]
    verdict = f"more than {limit:.0%}: in doubt" if abs(check.error) > limit else f"within {limit:.0%}"
    both = f"{units.milliseconds(check.additive_ms)} against {units.milliseconds(check.end_to_end_ms)}"
    return f"{both}, {100 * check.error:+.1f} % ({verdict})"


def _checked(record: TrialRecord, latency: LatencyReport) -> str:
    """Describes the rule of the check, which need not be that of the shown point."""
    check = latency.check
    if check is None:
        return "random images that leave at different exits"
    if check.rule is None:
        return "one exit rule of this trial"
    score = deciding_score(check.rule)
    exits = ", ".join(exit_names(record.candidate, check.rule))
    return f"exits {exits}{f' by {score}' if score else ''}, on {units.counted(check.images, 'validation image')}"


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
    return titled("files and versions", facts([(name, text) for name, text in rows if text]))


def _stacked(blocks: Iterable[RenderableType]) -> Group:
    spaced = [part for block in blocks for part in (block, Text(""))]
    return Group(*spaced[:-1])
