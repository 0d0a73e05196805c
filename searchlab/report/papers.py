"""Tables of papers for a terminal, as Markdown, as a pandas frame and as plain data."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from searchlab.operating_point import Estimate
from searchlab.papers.paper import Cell, Table
from searchlab.plain import to_plain
from searchlab.report import frames, units
from searchlab.report.layout import FirstThatFits, figures, plain_table, titled, words
from searchlab.report.payloads import Plain

FEW = 3
"""Rows that fit beside each other."""


def tables_view(tables: Sequence[Table], missing: Sequence[str] = ()) -> RenderableType:
    """Tables with their notes, then what is `missing`.

    Where the console is narrow, intervals are below their values; then a few rows of many columns are put upright.
    """
    blocks: list[RenderableType] = []
    for table in tables:
        upright = [_upright(table)] if len(table.rows) <= FEW else []
        layouts = ((" ", 3), (" ", 2), ("\n", 3), ("\n", 2), ("\n", 1))
        fitting = FirstThatFits((*(_grid(table, between, gap) for between, gap in layouts), *upright))
        notes = [Text(note, style="bright_black") for note in table.notes]
        blocks += [titled(table.title, fitting), *notes, Text("")]
    return Group(*blocks[:-1], *([Text("")] if missing and blocks else []), *(Text(line) for line in missing))


def _grid(table: Table, between: str, gap: int) -> Grid:
    rows = [[cell_text(cell, between) for cell in row] for row in table.rows]
    columns = []
    for i, name in enumerate(table.columns):
        column = words if _is_words(table, i) else figures
        widest = max((len(line) for row in rows for line in row[i].split("\n")), default=1)
        # Titles take as many lines as they need to be no wider than what stands below them.
        lines = textwrap.wrap(name, max(widest, 1), break_long_words=False, break_on_hyphens=False)
        columns.append(column("\n".join(lines)))
    return plain_table(columns, rows, gap=gap)


def _upright(table: Table) -> Grid:
    """A line for every column, a column for every row."""
    cells = [[name, *(cell_text(row[i]) for row in table.rows)] for i, name in enumerate(table.columns)]
    return plain_table([words(cells[0][0]), *(words(name) for name in cells[0][1:])], cells[1:], gap=3)


def _is_words(table: Table, column: int) -> bool:
    return column == 0 or any(isinstance(row[column], str) for row in table.rows)


def cell_text(cell: Cell, between: str = " ") -> str:
    """ "4,971,338", "95.67 [95.25, 96.05]", "–" for nothing."""
    if cell is None:
        return units.NOTHING
    if isinstance(cell, Estimate):
        decimals = _decimals(cell.value)
        # Nothing is "-0".
        value, low, high = (round(part, decimals) + 0.0 for part in (cell.value, cell.low, cell.high))
        return f"{value:,.{decimals}f}{between}[{low:,.{decimals}f}, {high:,.{decimals}f}]"
    if isinstance(cell, float):
        # Learning rates: four decimals would leave nothing of them.
        return f"{cell:.4g}" if 0 < abs(cell) < 0.01 else f"{cell:,.{_decimals(cell)}f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _decimals(value: float) -> int:
    """Of four significant digits, at most four decimals."""
    if value == 0 or not math.isfinite(value):
        return 0
    return min(4, max(0, 3 - math.floor(math.log10(abs(value)))))


def tables_markdown(tables: Sequence[Table]) -> str:
    """The tables as Markdown (GitHub's), titles as headings, notes below."""
    return "\n\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    rules = [":--" if _is_words(table, i) else "--:" for i in range(len(table.columns))]
    rows = [[cell_text(cell).replace("|", "\\|") for cell in row] for row in (table.columns, *table.rows)]
    lines = [f"| {' | '.join(row)} |" for row in (rows[0], rules, *rows[1:])]
    return "\n".join([f"### {table.title}", "", *lines, *(f"\n{note}" for note in table.notes)])


def tables_frame(tables: Sequence[Table]) -> pd.DataFrame:
    """All rows of all tables; the first column names the table. An estimate becomes three columns: x, x_low, x_high."""
    return pd.DataFrame([{"table": table.title, **_record(table, row)} for table in tables for row in table.rows])


def _record(table: Table, row: Sequence[Cell]) -> Plain:
    record: Plain = {}
    for i, (name, cell) in enumerate(zip(table.columns, row, strict=True)):
        value, low, high = (cell.value, cell.low, cell.high) if isinstance(cell, Estimate) else (cell, None, None)
        record[name] = value
        if any(isinstance(other[i], Estimate) for other in table.rows):
            record |= {f"{name}_low": low, f"{name}_high": high}
    return record


def write_csv(path: Path, tables: Sequence[Table]) -> None:
    """Writes `tables_frame` as CSV.

    Raises:
        UserError: it cannot be written.
    """
    frames.write_csv(path, tables_frame(tables))


def tables_payload(name: str, title: str, tables: Sequence[Table], missing: Sequence[str]) -> Plain:
    """The tables as plain data, cell by cell: an estimate is {"value", "low", "high"}, nothing is null."""
    return {
        "study": name,
        "title": title,
        "tables": [to_plain(table) for table in tables],
        "missing": list(missing),
    }
