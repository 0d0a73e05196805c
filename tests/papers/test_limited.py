from dataclasses import replace

import pytest
from paper_parts import names
from tiny import made_record, tiny_candidate

from searchlab.operating_point import Estimate
from searchlab.papers.paper import Finished
from searchlab.search.catalog import find, load_studies
from searchlab.study import TrialSpec

ACCURACY, COLUMNS, LIMITED = names("limited", "tables", "ACCURACY", "COLUMNS", "PAPER")

(STUDY,) = load_studies(find("study", "paper_limited"))

FOUND = {
    "samples": 10_000,
    "exits": [{"cut": 11, "correct": 9567, "correct_of_3": 9990}],
    "params": 4_918_602,
    "macs": 798_689_792,
    "megabytes": 19.7,
    "train_seconds": 812.5,
    "epochs": 50,
    "train_images": 45_000,
    "latency_ms": {"value": 11.2, "low": 11.1, "high": 11.4},
}


def test_the_rows_are_the_studys_own_in_the_papers_order():
    assert tuple(ACCURACY) == STUDY.rows


def test_what_was_not_run_is_empty_beside_the_papers_figures():
    (table,) = LIMITED.tables([Finished(STUDY)])
    assert [row[:2] for row in table.rows] == list(ACCURACY.items())
    assert all(row[2] is None and row[4:] == (None,) * 5 for row in table.rows)


@pytest.mark.parametrize("latency", [FOUND["latency_ms"], None])
def test_what_was_run_stands_in_its_row(latency):
    record = replace(made_record(TrialSpec(1, tiny_candidate(4), STUDY, row="Approach II (a)")), directory="somewhere")
    (table,) = LIMITED.tables([Finished(STUDY, (record,), {1: {**FOUND, "latency_ms": latency}})])
    row = dict(zip(COLUMNS, table.rows[1], strict=True))
    assert (row["architecture"], row["test accuracy % (paper)"], row["test accuracy %"].value) == (
        *("Approach II (a)", 95.67),
        pytest.approx(95.67),
    )
    assert (row["parameters"], row["MACs"], row["training s"], row["epochs"]) == (4_918_602, 798_689_792, 812.5, 50)
    assert row["latency ms"] == (latency and Estimate(**latency))
    assert table.rows[0][2] is None
    assert "45,000 training images" in table.notes[0]
