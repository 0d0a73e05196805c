"""Layout of tables on a terminal or in plain text: columns, lines, and narrow terminals."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

WIDE = 10_000

STYLES = {
    "complete": "green",
    "running": "cyan",
    "interrupted": "magenta",
    "stopped": "yellow",
    "infeasible": "bright_black",
    "failed": "red",
}


@dataclass(frozen=True)
class FirstThatFits:
    """Shows the first of `tables` that the console is wide enough for, or else what `otherwise` makes of its width.

    Without `otherwise`, the last table is cropped on a terminal, and printed in full to a file or a pipe.
    """

    tables: tuple[Table, ...]
    otherwise: Callable[[int], RenderableType] | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unlimited = options.update_width(WIDE)
        for table in self.tables:
            if Measurement.get(console, unlimited, table).minimum <= options.max_width:
                break
        else:
            if self.otherwise is not None:
                yield self.otherwise(options.max_width)
                return
            if not console.is_terminal:
                yield from console.render(
                    table, options.update_width(Measurement.get(console, unlimited, table).minimum)
                )
                return
            # Truncate with an ellipsis; otherwise rich crops the last columns, and "792 k" would read "792".
            for column in table.columns:
                column.min_width = None
        yield table


@dataclass(frozen=True)
class Footer:
    """Joins parts on one line, or on as few lines as the console's width allows; breaks only too long parts."""

    parts: tuple[str, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = self.parts[0]
        for part in self.parts[1:]:
            longer = f"{line} · {part}"
            if cell_len(longer) > options.max_width:
                yield Text(line, style="bright_black")
                longer = part
            line = longer
        yield Text(line, style="bright_black")


def figures(header: str) -> Column:
    """Adds a column of numbers: right-aligned, never wrapped."""
    return Column(header, justify="right", no_wrap=True)


def words(header: str, *, wrap_from: int | None = None) -> Column:
    """Adds a column of names; with `wrap_from`, of sentences that wrap if fewer cells are free."""
    if wrap_from is None:
        return Column(header, no_wrap=True)
    return Column(header, overflow="fold", min_width=wrap_from)


def plain_table(columns: Sequence[Column], rows: Iterable[Sequence[str]], *, gap: int = 2) -> Table:
    """Makes a table without lines, with `gap` cells between columns and a bold header. Cells contain no markup."""
    rows = list(rows)
    table = Table(
        *(_sized(column, [row[i] for row in rows]) for i, column in enumerate(columns)),
        box=None,
        pad_edge=False,
        padding=(0, gap, 0, 0),
        header_style="bold",
    )
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    return table


def _sized(column: Column, cells: Sequence[str]) -> Column:
    """Copies a table so that no column is narrower than its widest cell: no figure is truncated."""
    lines = [line for cell in (str(column.header), *cells) for line in cell.split("\n")]
    width = max(cell_len(line) for line in lines)
    sized = column.copy()
    sized.min_width = column.min_width or width
    return sized


def facts(rows: Iterable[tuple[str, str]]) -> Table:
    """Makes a table of names and values, in two columns."""
    table = Table.grid(Column(no_wrap=True, style="bright_black"), Column(overflow="fold"), padding=(0, 2, 0, 0))
    for name, text in rows:
        table.add_row(Text(name), Text(text))
    return table


def titled(title: str, table: RenderableType) -> Group:
    """Returns a table below its title."""
    return Group(Text(title, style="bold cyan"), table)
