"""HTML page of a front: summary, plot, table and machine in one file that needs no network."""

from collections.abc import Sequence
from html import escape

from searchlab.front.points import (
    FrontPoint,
    common_machine,
    deciding_score,
    exit_names,
    size_of,
    study_hypervolume,
)
from searchlab.record import TrialRecord
from searchlab.report import units
from searchlab.report.tables import EXITS_ARE, accuracy_cell, doubt_note, latency_cell, trial_counts
from searchlab.study import Study

STYLE = """
body { font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; color: #1c2733; background: #fff;
       max-width: 1160px; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 1.8rem 0 .4rem; }
p { max-width: 46rem; margin: .3rem 0 .8rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; }
th, td { padding: .28rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #e4e9ee; }
th { color: #5a6978; font-weight: 600; border-bottom: 2px solid #cfd8e0; }
th.text, td.text { text-align: left; }
small { color: #6b7885; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; font-size: .9rem; }
dt { color: #5a6978; } dd { margin: 0; }
"""

TEXT_COLUMNS = frozenset({"exits used", "score"})


def plot_page(study: Study, title: str, explanation: Sequence[str], plot: str) -> str:
    """Returns a page with one plot (HTML) and introductory paragraphs."""
    about = "".join(f"<p>{escape(text)}</p>" for text in (study.description, *explanation) if text)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n"
        f"<h1>{escape(title)}</h1>\n{about}\n{plot}\n</body></html>\n"
    )


def page_html(study: Study, records: Sequence[TrialRecord], points: Sequence[FrontPoint], plot: str) -> str:
    """Returns the page of a front around `plot` (HTML); `points` is the thinned front of its table."""
    title = f"Front of {study.name}" if study.name else "Front"
    below = (
        f'<h2>The front{_of_how_many(points)}</h2>\n<div class="scroll">{front_table(points)}</div>\n'
        f"<p>{escape(EXITS_ARE)}.</p>\n{_doubts(points)}"
        f"<h2>Origin</h2>\n{_origin(study, records)}"
    )
    return plot_page(study, title, [_explanation(study)], f"{plot}\n{below}")


def _explanation(study: Study) -> str:
    *ends, last = [objective.label for objective in study.objectives]
    return (
        "Every mark is an early-exit network with an exit rule. The bold line is the Pareto front in "
        f"{', '.join(ends)} and {last}; the faint lines are the frontiers of single trials. Intervals are 95 %. "
        "Numbered points are those of the table. Move the mouse over a mark to see its exits."
    )


def front_table(points: Sequence[FrontPoint]) -> str:
    """A front as a table of HTML."""
    if not points:
        return "<p>No trial is complete yet.</p>"
    rows = [_row(point) for point in points]
    names = [name for name in rows[0] if any(row[name] != units.NOTHING for row in rows)]

    def cell(tag: str, name: str, text: str) -> str:
        kind = ' class="text"' if name in TEXT_COLUMNS else ""
        # The interval is paler than its value.
        value, bracket, interval = escape(text).partition(" [")
        return f"<{tag}{kind}>{value}{f' <small>[{interval}</small>' if bracket else ''}</{tag}>"

    head = "".join(cell("th", name, name) for name in names)
    body = "\n".join(f"<tr>{''.join(cell('td', name, row[name]) for name in names)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def _of_how_many(points: Sequence[FrontPoint]) -> str:
    total = size_of(points)
    return f": {len(points)} of {total} points" if len(points) < total else ""


def _doubts(points: Sequence[FrontPoint]) -> str:
    note = doubt_note(point.record for point in points if point.doubt)
    return f"<p>{escape('; '.join(note))}.</p>\n" if note else ""


def _row(entry: FrontPoint) -> dict[str, str]:
    point, latency, times = entry.point, entry.latency, entry.times_reference
    return {
        "point": str(entry.number),
        "trial": str(entry.record.number),
        "accuracy (validation)": accuracy_cell(point.accuracy_estimate),
        "accuracy (test)": accuracy_cell(entry.test.accuracy_estimate) if entry.test else units.NOTHING,
        "latency p50": units.marked(latency_cell(latency), entry.doubt) if latency else units.NOTHING,
        "× reference": units.marked(units.ratio(times.value if times else None), entry.doubt),
        "MACs": units.count(point.macs),
        "params": units.count(point.params),
        "exits used": ", ".join(exit_names(entry.record.candidate, point.rule)),
        "score": deciding_score(point.rule) or units.NOTHING,
    }


def _origin(study: Study, records: Sequence[TrialRecord]) -> str:
    machine = common_machine(study, records)
    versions = sorted({f"{name} {version}" for record in records for name, version in record.versions.items()})
    rows = [
        ("study", f"space {study.space_name}, data {study.data}, {study.epochs} epochs, sampler {study.sampler}"),
        ("images", "; ".join(sorted({units.images(record.data.images) for record in records if record.data.images}))),
        ("trials", trial_counts(records)),
        ("hypervolume", f"{study_hypervolume(study, records):.3f}"),
        ("machine", machine.label if machine else "no latency was measured"),
        ("reference", study.reference if machine else ""),
        ("versions", ", ".join(versions)),
    ]
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{escape(text)}</dd>' for name, text in rows if text)}</dl>"
