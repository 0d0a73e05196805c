"""Paper tables for a terminal, as Markdown, as a pandas frame and as plain data."""

import math
import textwrap
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from searchlab.operating_point import Estimate
from searchlab.papers.paper import Cell, Table
from searchlab.report import frames, units
from searchlab.report.layout import FirstThatFits, figures, plain_table, titled, words
from searchlab.report.payloads import Plain
from searchlab.serialization import to_plain

FEW = 3
"""Number of rows that fit side by side."""

PARTS_GAP = 2
"""Cells between the columns of a table that is split into parts."""


def tables_view(tables: Sequence[Table], missing: Sequence[str] = ()) -> RenderableType:
    """Tables with their notes, then what is `missing`.

    On a narrow console, intervals are below their values. If that is not enough, tables with few rows are transposed;
    others are split into several parts, one below the other, each with the names of the rows.
    """
    blocks: list[RenderableType] = []
    for table in tables:
        upright = [_upright(table, between) for between in (" ", "\n")] if len(table.rows) <= FEW else []
        layouts = ((" ", 3), (" ", 2), ("\n", 3), ("\n", 2), ("\n", 1))
        grids = (_grid(table, between, gap) for between, gap in layouts)
        fitting = FirstThatFits((*grids, *upright), partial(_in_parts, table))
        notes = [Text(note, style="bright_black") for note in table.notes]
        blocks += [titled(table.title, fitting), *notes, Text("")]
    return Group(*blocks[:-1], *([Text("")] if missing and blocks else []), *(Text(line) for line in missing))


def _grid(table: Table, between: str, gap: int) -> Grid:
    rows = [[cell_text(cell, between) for cell in row] for row in table.rows]
    columns = []
    for i, name in enumerate(table.columns):
        column = words if _is_words(table, i) else figures
        widest = max((len(line) for row in rows for line in row[i].split("\n")), default=1)
        # Titles wrap so that they are no wider than the cells below.
        lines = textwrap.wrap(name, max(widest, 1), break_long_words=False, break_on_hyphens=False)
        columns.append(column("\n".join(lines)))
    return plain_table(columns, rows, gap=gap)


def _in_parts(table: Table, width: int) -> RenderableType:
    """Splits the columns into parts that are at most `width` wide; each part begins with the row names."""
    keys = _keys(table)
    widths = [_grid(_columns_of(table, [i]), "\n", 0).columns[0].min_width or 0 for i in range(len(table.columns))]
    parts: list[list[int]] = [[]]
    room = width - sum(widths[key] + PARTS_GAP for key in range(keys))
    for together in _pairs(table, keys):
        taken = sum(widths[i] + PARTS_GAP for i in (*parts[-1], *together)) - PARTS_GAP
        if parts[-1] and taken > room:
            parts.append([])
        parts[-1] += together
    grids = [_grid(_columns_of(table, [*range(keys), *part]), "\n", PARTS_GAP) for part in parts]
    lines = [line for grid in grids for line in (grid, Text(""))]
    return Group(*lines[:-1])


def _columns_of(table: Table, columns: Sequence[int]) -> Table:
    rows = tuple(tuple(row[i] for i in columns) for row in table.rows)
    return Table(table.title, tuple(table.columns[i] for i in columns), rows)


def _keys(table: Table) -> int:
    """Returns how many left columns identify a row; 1 if none do."""
    for count in range(1, len(table.columns)):
        if len({row[:count] for row in table.rows}) == len(table.rows):
            return count
    return 1


def _pairs(table: Table, first: int) -> list[list[int]]:
    """Groups the columns from `first` on: the paper's figure together with ours."""
    found: list[list[int]] = []
    for i in range(first, len(table.columns)):
        paired = found and table.columns[found[-1][-1]] == f"{table.columns[i]} (paper)"
        if paired:
            found[-1].append(i)
        else:
            found.append([i])
    return found


def _upright(table: Table, between: str) -> Grid:
    """Transposes a table: one line per column, one column per row."""
    cells = [[name, *(cell_text(row[i], between) for row in table.rows)] for i, name in enumerate(table.columns)]
    return plain_table([words(cells[0][0]), *(words(name) for name in cells[0][1:])], cells[1:], gap=3)


def _is_words(table: Table, column: int) -> bool:
    return column == 0 or any(isinstance(row[column], str) for row in table.rows)


def cell_text(cell: Cell, between: str = " ") -> str:
    """Formats a cell: "4,971,338", "95.67 [95.25, 96.05]", "–" for a missing value."""
    if cell is None:
        return units.NOTHING
    if isinstance(cell, Estimate):
        decimals = _decimals(cell.value)
        # Avoid "-0".
        value, low, high = (round(part, decimals) + 0.0 for part in (cell.value, cell.low, cell.high))
        return f"{value:,.{decimals}f}{between}[{low:,.{decimals}f}, {high:,.{decimals}f}]"
    if isinstance(cell, float):
        # Learning rates need more than four decimals.
        return f"{cell:.4g}" if 0 < abs(cell) < 0.01 else f"{cell:,.{_decimals(cell)}f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _decimals(value: float) -> int:
    """Formats a number with four significant digits and at most four decimals."""
    if value == 0 or not math.isfinite(value):
        return 0
    return min(4, max(0, 3 - math.floor(math.log10(abs(value)))))


def tables_markdown(tables: Sequence[Table]) -> str:
    """Returns the tables as GitHub Markdown, with titles as headings and notes below."""
    return "\n\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    rules = [":--" if _is_words(table, i) else "--:" for i in range(len(table.columns))]
    rows = [[cell_text(cell).replace("|", "\\|") for cell in row] for row in (table.columns, *table.rows)]
    lines = [f"| {' | '.join(row)} |" for row in (rows[0], rules, *rows[1:])]
    return "\n".join([f"### {table.title}", "", *lines, *(f"\n{note}" for note in table.notes)])


def tables_frame(tables: Sequence[Table]) -> pd.DataFrame:
    """Returns all rows of all tables; the first column names the table. An estimate becomes x, x_low, x_high."""
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
    """Returns the tables as plain data, by cell: an estimate is {"value", "low", "high"}, a missing value is null."""
    return {
        "study": name,
        "title": title,
        "tables": [to_plain(table) for table in tables],
        "missing": list(missing),
    }
