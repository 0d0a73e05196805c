"""Fronts, trials, studies and spaces as tables for a terminal, or as plain text without one."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from searchlab.front.points import (
    FrontPoint,
    common_machine,
    deciding_score,
    doubt_of,
    exit_names,
    size_of,
    state_counts,
    study_hypervolume,
)
from searchlab.operating_point import Estimate, OperatingPoint
from searchlab.record import TrialRecord
from searchlab.report import units
from searchlab.report.layout import FirstThatFits, Footer, facts, figures, plain_table, titled, words
from searchlab.report.payloads import best_point
from searchlab.study import Sketch, Study


def front_view(
    study: Study, records: Sequence[TrialRecord], points: Sequence[FrontPoint], kept: str = "", profile: str = ""
) -> RenderableType:
    """Returns a study's front (`points` from `study_front`), with a line about its trials below it.

    A point takes one line if the console is wide enough, else two, with the intervals below their values. `kept` are
    the options of the study's place (" --output demo"), for the next command. `profile` is the name of the device
    profile that the latencies are of, if any.
    """
    if not points:
        nothing = f"No front yet: no trial of study {study.name} is complete"
        if any(record.state == "complete" for record in records):
            nothing = f"No front yet: no point reaches the study's min_accuracy of {units.percent(study.min_accuracy)}"
        return Footer((nothing, trial_counts(records), f"next: searchlab {_next(study, records)} {study.name}{kept}"))
    wide = [_front_table(points, tall=False, gap=gap) for gap in (3, 2)]
    tall = [_front_table(points, tall=True, gap=gap) for gap in (3, 2, 1)]
    seen = any(point.test for point in points)
    notes = doubt_note(point.record for point in points if point.doubt)
    legend = Footer((*shown_of(points, f"front {study.name}{kept}", seen=seen), *_legend(points)))
    end = Footer((*profile_words(records, profile), *footer_parts(study, records, kept)))
    return Group(FirstThatFits((*wide, *tall)), Text(""), legend, *_footers(notes), end)


def profile_words(records: Sequence[TrialRecord], profile: str) -> tuple[str, ...]:
    """Returns "profile torch: 12 of 16 networks measured"; nothing without a profile."""
    if not profile:
        return ()
    complete = [record for record in records if record.state == "complete"]
    measured = sum(record.frontier is not None for record in complete)
    return (f"profile {profile}: {measured} of {units.counted(len(complete), 'network')} measured",)


def shown_of(points: Sequence[FrontPoint], command: str, *, seen: bool = False) -> tuple[str, ...]:
    """Returns "12 of 50 points (searchlab front digits --points 50 shows all)"; nothing if no point is left out.

    `seen`: the points were evaluated on the test split.
    """
    total = size_of(points)
    if len(points) >= total:
        return ()
    count = f"{len(points)} of {units.counted(total, 'point')}"
    if seen:
        return (f"{count}: the others were not measured again, or are now dominated",)
    return (f"{count} (searchlab {command} --points {total} shows all)",)


def _legend(points: Sequence[FrontPoint]) -> tuple[str, ...]:
    references = {entry.record.latency.reference_name for entry in points if entry.record.latency and entry.latency}
    times = [f"× ref.: latency as a multiple of {', '.join(sorted(references))}'s"] if references else []
    return (*times, EXITS_ARE)


def _footers(notes: tuple[str, ...]) -> list[Footer]:
    return [Footer(notes)] if notes else []


def _next(study: Study, records: Sequence[TrialRecord]) -> str:
    """Returns the advice for a study without a front: run it, resume it, or look at its trials."""
    if not records:
        return "run"
    if any(record.state == "running" for record in records):
        # Another process runs the study.
        return "trials"
    most = study.most_trials
    begun = len({record.number for record in records})
    left = (most is not None and begun < most) or any(record.state == "interrupted" for record in records)
    return "resume" if left else "trials"


def next_step(study: Study, records: Sequence[TrialRecord], kept: str, otherwise: str) -> str:
    """Returns the next command: to resume, if a trial was interrupted and no process runs the study."""
    states = {record.state for record in records}
    command = "resume" if "interrupted" in states and "running" not in states else otherwise
    return f"next: searchlab {command} {study.name}{kept}"


def footer_parts(study: Study, records: Sequence[TrialRecord], kept: str = "") -> tuple[str, ...]:
    """Returns the counts of trials by state, the hypervolume, the machine, and the next command."""
    machine = common_machine(study, records)
    return (
        trial_counts(records),
        f"hypervolume {study_hypervolume(study, records):.3f}",
        *([machine.label] if machine else []),
        next_step(study, records, kept, "plot"),
    )


def trial_counts(records: Sequence[TrialRecord]) -> str:
    """Returns "12 trials: 9 complete, 2 stopped, 1 infeasible"."""
    counts = state_counts(records)
    states = ", ".join(f"{number} {state}" for state, number in counts.items())
    trials = units.counted(sum(counts.values()), "trial")
    return f"{trials}: {states}" if states else "no trials"


def doubt_note(records: Iterable[TrialRecord]) -> tuple[str, ...]:
    """Explains the marks of doubtful latencies, if any."""
    doubtful = {record.number: record for record in records if doubt_of(record)}
    if not doubtful:
        return ()
    worst = max(doubtful.values(), key=lambda record: record.latency.worry if record.latency else 0.0)
    trials = (
        f"trial {worst.number}" if len(doubtful) == 1 else f"{len(doubtful)} trials, worst of all trial {worst.number}"
    )
    return (f"{units.DOUBTFUL} latency in doubt ({trials}: {doubt_of(worst)})",)


def budget_words(study: Study) -> str:
    """Returns "16 trials of 30 epochs", "trials of 30 epochs, until stalled for 10 trials"."""
    trials = units.counted(study.most_trials, "trial") if study.most_trials else "trials"
    stalls = f"until stalled for {units.counted(study.until_stalled or 0, 'trial')}"
    more = [
        f"{study.hours:g} h at most" if study.hours else "",
        f"{study.epochs_total} epochs in all" if study.epochs_total else "",
        stalls if study.until_stalled else "",
    ]
    return ", ".join(filter(None, [f"{trials} of {units.counted(study.epochs, 'epoch')}", *more]))


EXITS_ARE = "exits used: 2 is the exit after stage 2, final the head after the last stage"

OF_WHAT = (
    "Accuracy, latency, MACs and params are those of a trial's most accurate point; those of its whole network: "
    "searchlab show N --trial"
)


def trials_view(study: Study, records: Sequence[TrialRecord], kept: str = "") -> RenderableType:
    """Returns one line per trial: its most accurate point on the validation split, its costs, and why it ended.

    `kept` as in `front_view`.
    """
    if not records:
        return Text(f"No trials yet in study {study.name}: searchlab run {study.name}{kept}")
    ordered = sorted(records, key=lambda record: record.number)
    columns = [figures("trial"), words("state"), figures("best\naccuracy"), figures("latency p50"), figures("MACs")]
    columns += [figures("params"), figures("epochs"), figures("time"), words("reason", wrap_from=16)]
    rows = [_trial_cells(record) for record in ordered]
    tables = tuple(_without_empty(columns, rows, gap=gap) for gap in (3, 2, 1))
    footer = Footer((trial_counts(records), next_step(study, records, kept, "front")))
    notes: list[RenderableType] = [Text(OF_WHAT, style="bright_black"), *_footers(doubt_note(records))]
    return Group(FirstThatFits(tables), Text(""), *notes, footer)


def studies_view(files: Mapping[str, Sequence[Study]], sketches: Mapping[str, Sketch] | None = None) -> RenderableType:
    """Returns every file with its studies: objectives, limits and budget."""
    found = {}
    for name, studies in files.items():
        rows = [row for study in studies for row in _study_rows(study, among=len(studies))]
        found[name] = (studies[0].description, rows)
    for name, sketch in (sketches or {}).items():
        found[name] = (sketch.description, _sketch_rows(sketch))
    if not found:
        return Text("No studies: a study is one file in studies/ with a function study() -> Study")
    blocks: list[RenderableType] = []
    for name, (description, rows) in sorted(found.items()):
        title = f"{name}: {description}" if description else name
        blocks += [titled(" ".join(title.split()), facts(rows)), Text("")]
    return Group(*blocks[:-1])


def _sketch_rows(sketch: Sketch) -> list[tuple[str, str]]:
    written = [", ".join(f"{name}={value!r}" for name, value in each.items()) for each in sketch.plain if each]
    return [
        *(("writes", line) for line in written),
        ("computed", "the other fields, when the study is run"),
    ]


def _study_rows(study: Study, *, among: int) -> list[tuple[str, str]]:
    return [
        *([("study", study.name)] if among > 1 else []),
        ("searches", f"{study.space_name} on {study.data}, {' / '.join(o.label for o in study.objectives)}"),
        ("limits", _limits(study)),
        ("runs", f"{budget_words(study)}, sampler {study.sampler}"),
    ]


def spaces_view(spaces: Mapping[str, str]) -> RenderableType:
    """Returns every space by name, with its description."""
    if not spaces:
        return Text("No spaces: a space is one file in spaces/ with a function space(choose) -> Candidate")
    return plain_table([words("space"), words("what may vary", wrap_from=24)], sorted(spaces.items()))


def _front_table(points: Sequence[FrontPoint], *, tall: bool, gap: int) -> Table:
    columns = [figures("point"), figures("trial"), figures("accuracy\n(validation)"), figures("accuracy\n(test)")]
    columns += [figures("latency\np50"), figures("×\nref.")]
    if tall:
        title = "exits used\nscore" if any(deciding_score(entry.point.rule) for entry in points) else "exits used"
        columns += [figures("MACs\nparams"), words(title, wrap_from=11 if gap == 1 else None)]
    else:
        columns += [figures("MACs"), figures("params"), words("exits used"), words("score")]
    return _without_empty(columns, [_front_cells(point, tall=tall) for point in points], gap=gap)


def _front_cells(entry: FrontPoint, *, tall: bool) -> list[str]:
    point, latency, times, between = entry.point, entry.latency, entry.times_reference, "\n" if tall else " "
    sizes = [units.count(point.macs), units.count(point.params)]
    exits, score = ", ".join(exit_names(entry.record.candidate, point.rule)), deciding_score(point.rule)
    names = [exits, *([score] if score else [])] if tall else [exits, score or units.NOTHING]
    return [
        str(entry.number),
        str(entry.record.number),
        accuracy_cell(point.accuracy_estimate, between),
        accuracy_cell(entry.test.accuracy_estimate, between) if entry.test else units.NOTHING,
        units.marked(latency_cell(latency, between), entry.doubt) if latency else units.NOTHING,
        units.marked(units.ratio(times.value if times else None), entry.doubt),
        *(["\n".join(sizes), "\n".join(names)] if tall else [*sizes, *names]),
    ]


def _without_empty(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, gap: int) -> Table:
    """Makes a table of the columns that have a value in some row."""
    kept = [i for i in range(len(columns)) if any(row[i] != units.NOTHING for row in rows)]
    return plain_table([columns[i] for i in kept], [[row[i] for i in kept] for row in rows], gap=gap)


def _trial_cells(record: TrialRecord) -> list[str]:
    best, ended = best_point(record), record.state not in ("running", "interrupted")
    return [
        str(record.number),
        record.state,
        units.percent(best.accuracy if best else None),
        _latency_of(record, best),
        units.count(best.macs if best else None),
        units.count(best.params if best else None),
        str(record.epochs) if ended else units.NOTHING,
        units.seconds(record.seconds.total) if ended else units.NOTHING,
        record.reason or units.NOTHING,
    ]


def _latency_of(record: TrialRecord, best: OperatingPoint | None) -> str:
    if best is None or best.latency_ms is None:
        return units.NOTHING
    return units.marked(units.milliseconds(best.latency_ms), doubt_of(record))


def accuracy_cell(estimate: Estimate, between: str = " ") -> str:
    """Formats "98.6 % [97.4, 99.3]"."""
    return f"{units.percent(estimate.value)}{between}{units.percent_interval(estimate)}"


def latency_cell(estimate: Estimate, between: str = " ") -> str:
    """Formats "0.412 ms [.405, .419]"."""
    return f"{units.milliseconds(estimate.value)}{between}{units.latency_interval(estimate)}"


def _limits(study: Study) -> str:
    limits = [
        f"{units.count(study.max_params)} parameters" if study.max_params else "",
        f"{units.count(study.max_macs)} MACs" if study.max_macs else "",
        units.milliseconds(study.max_latency_ms) if study.max_latency_ms else "",
    ]
    return ", ".join(filter(None, limits)) or "none"
