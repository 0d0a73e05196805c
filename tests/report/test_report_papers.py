import io
import json
from dataclasses import replace

import pandas as pd
import pytest
from made_up_paper import TABLE
from raises import raises_code
from rich.console import Console

from searchlab.operating_point import Estimate
from searchlab.papers.paper import Finished, Table
from searchlab.report.papers import (
    cell_text,
    tables_frame,
    tables_markdown,
    tables_payload,
    tables_view,
    write_csv,
)
from searchlab.search.catalog import named_studies
from searchlab.search.paper_packages import known_papers, load_paper


def text_of(view, width=100):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(view)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, "–"),
        ("~4.9 M", "~4.9 M"),
        (4_971_338, "4,971,338"),
        (95.1, "95.10"),
        (-1.25, "-1.250"),
        (0.0, "0"),
        (1e-7, "1e-07"),
        (123456.7, "123,457"),
        (Estimate(95.671, 95.25, 96.049), "95.67 [95.25, 96.05]"),
    ],
)
def test_cells(cell, text):
    assert cell_text(cell) == text


@pytest.mark.parametrize("width", [70, 100, 160])
def test_a_table_shows_every_row_and_column_at_any_width(width):
    text = text_of(tables_view([TABLE, TABLE], ["large was not run: searchlab run it"]), width)
    assert text.count("Table 7") == 2 and text.count("a note") == 2
    for figure in ("95.67", "[95.25, 96.05]", "4,971,338", "0.4124", "95.10", "94.24", "small | fast", "as is"):
        assert text.count(figure) == 2
    assert text.rstrip().endswith("large was not run: searchlab run it")
    assert max(map(len, text.splitlines())) <= width and "…" not in text


def test_an_interval_stands_below_its_value_only_where_there_is_no_room():
    assert "95.67 [95.25, 96.05]" in text_of(tables_view([TABLE]), 160)
    assert "95.67 [95.25, 96.05]" not in text_of(tables_view([TABLE]), 70)


def test_markdown_escapes_what_would_be_a_column():
    lines = tables_markdown([TABLE]).splitlines()
    assert lines[0] == "### Table 7"
    assert lines[2] == "| network | test accuracy % (paper) | test accuracy % | parameters | ms \\| batch | note |"
    assert lines[3] == "| :-- | --: | --: | --: | --: | :-- |"
    assert lines[4] == "| small \\| fast | 95.10 | 95.67 [95.25, 96.05] | 4,971,338 | 0.4124 | as is |"
    assert lines[5] == "| large | 94.24 | – | – | – | – |"
    assert lines[-1] == "a note"


def test_csv_has_one_row_a_row_and_three_columns_an_estimate(tmp_path):
    other = Table("Table 8", ("network", "top-1 %"), (("tiny", 3),))
    write_csv(tmp_path / "t.csv", [TABLE, other])
    frame = pd.read_csv(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(frame, tables_frame([TABLE, other]), check_dtype=False)
    assert list(frame["table"]) == ["Table 7", "Table 7", "Table 8"]
    assert list(frame.columns)[3:6] == ["test accuracy %", "test accuracy %_low", "test accuracy %_high"]
    assert frame.loc[0, "test accuracy %_low"] == 95.25 and frame.loc[0, "parameters"] == 4_971_338
    assert frame["test accuracy %"].isna().tolist() == [False, True, True]


def test_a_csv_that_cannot_be_written_is_the_users_mistake(tmp_path):
    (tmp_path / "file").touch()
    for path in ("file/t.csv", "."):
        with raises_code("cannot-write") as raised:
            write_csv(tmp_path / path, [TABLE])
        assert "None" not in str(raised.value)


def test_the_folder_of_a_csv_is_made(tmp_path):
    write_csv(tmp_path / "not" / "there" / "t.csv", [TABLE])
    assert len(pd.read_csv(tmp_path / "not" / "there" / "t.csv")) == 2


def test_the_payload_is_plain_and_strict():
    payload = json.loads(json.dumps(tables_payload("it", "On It", [TABLE], ["x"]), allow_nan=False))
    assert (payload["study"], payload["title"], payload["missing"]) == ("it", "On It", ["x"])
    (table,) = payload["tables"]
    assert table["columns"] == list(TABLE.columns)
    assert table["rows"][0][2] == {"value": 95.671, "low": 95.25, "high": 96.049}
    assert table["rows"][1][3] is None


def filled(table: Table) -> Table:
    """A paper's table of a study that was not run, as wide as ours would make it."""

    def made(name, cell):
        if cell is not None:
            return cell
        if "%" in name:
            return Estimate(95.671, 95.25, 96.049)
        return 1_308_325_888 if "MAC" in name else 34_022_996 if "param" in name else 12.34

    rows = [tuple(made(name, cell) for name, cell in zip(table.columns, row, strict=True)) for row in table.rows]
    return replace(table, rows=tuple(rows))


@pytest.mark.parametrize("name", known_papers())
@pytest.mark.parametrize("run", [False, True])
def test_every_papers_table_is_readable_at_80_columns(name, run):
    _, studies = named_studies(name)
    tables = load_paper(name).tables([Finished(study) for study in studies])
    tables = [filled(table) if run else table for table in tables]
    lines = text_of(tables_view(tables), 80).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80 and "…" not in "".join(lines)
    figures = {cell_text(cell, "\n") for table in tables for row in table.rows for cell in row}
    assert all(part in "\n".join(lines) for figure in figures for part in figure.split("\n"))


def test_columns_in_parts_repeat_what_tells_the_rows_apart_and_keep_the_papers_figure_beside_ours():
    columns = ("network", "let-in", *(f"figure {i}{end}" for i in range(9) for end in (" (paper)", "")))
    rows = [("A", 0.5, *range(1000, 1018)), ("A", 0.7, *range(2000, 2018))]
    text = text_of(
        tables_view([Table("wide", columns, (*rows, ("B", 0.5, *range(3000, 3018)), ("C", 1, *[7] * 18)))]), 60
    )
    assert max(map(len, text.splitlines())) <= 60
    parts = [part for part in text.split("\n\n") if part.strip()]
    assert len(parts) > 2
    for part in parts:
        (line,) = [line.split() for line in part.splitlines() if line.startswith("A") and "0.7" in line]
        figures = [int(cell.replace(",", "")) for cell in line[2:]]
        assert len(figures) % 2 == 0 and figures == list(range(figures[0], figures[-1] + 1))
