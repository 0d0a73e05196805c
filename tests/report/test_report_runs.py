import json
from datetime import datetime
from pathlib import Path

import pytest
from test_report_tables import text_of

from searchlab.report.runs import front_words, removal_lines, runs_payload, runs_view, trial_words
from searchlab.study_summary import FrontFigures, Stored, StoredStudy

WHEN = datetime(2026, 3, 1, 12, 30)
FIGURES = FrontFigures(12, {"accuracy": 0.989, "latency_ms": 0.062})
DONE = StoredStudy("digits", "finished", "16 of 16 trials", {"stopped": 2, "complete": 14}, 6, WHEN, FIGURES)
LEFT = StoredStudy("pets", "interrupted", "", {"interrupted": 1, "complete": 3}, 0, WHEN)
BUSY = StoredStudy("busy", "running", "process 7 on box", {"running": 1}, 0, WHEN)
BAD = StoredStudy("bad", "damaged", "no JSON")
THEIRS = StoredStudy("theirs", "foreign", "not created by searchlab", {"complete": 3}, 0, WHEN)


def made(*studies: StoredStudy, exists: bool = True) -> Stored:
    return Stored("sqlite:///demo/studies.db", Path("demo"), exists, studies)


@pytest.mark.parametrize("width", [80, 140])
def test_a_line_for_every_study_and_where_was_looked(width):
    text = text_of(runs_view(made(DONE, LEFT, BUSY, BAD, THEIRS), " --output demo"), width)
    words = " ".join(text.split())
    for part in ("finished", "interrupted", "running", "damaged", "not searchlab's"):
        assert part in words
    assert "busy is run by process 7 on box" in words and "bad is damaged: no JSON" in words
    assert "store sqlite:///demo/studies.db, artefacts in demo" in words
    assert "next: searchlab resume pets --output demo" in words
    assert max(map(len, text.splitlines())) <= width


def test_an_empty_store_and_an_absent_one_say_where_was_looked_and_what_to_do():
    for exists, what in ((True, "No studies in sqlite:///demo"), (False, "No store yet at sqlite:///demo")):
        text = text_of(runs_view(made(exists=exists)), 160)
        assert what in text and "searchlab run STUDY" in text and "--output FOLDER" in text


def test_words_and_plain_data_of_a_study():
    assert trial_words(DONE) == "14 complete, 2 stopped, 6 replicates"
    assert front_words(FIGURES) == "12 points, best 98.9 %, from 0.0620 ms"
    assert front_words(FrontFigures(1, {"macs": 37_100.0, "params": 2600.0})) == (
        "1 point, from 37.1 k MACs, from 2.6 k parameters"
    )
    assert front_words(None) == "–"
    plain = json.loads(json.dumps(runs_payload(made(DONE, BAD)), allow_nan=False))
    assert plain["storage"] == "sqlite:///demo/studies.db" and plain["exists"]
    first, second = plain["studies"]
    assert first["state"] == "finished" and first["front"] == {
        "points": 12, "best": {"accuracy": 0.989, "latency_ms": 0.062},
    }  # fmt: skip
    assert first["changed"].startswith("2026-03-01T12:30:00") and second["changed"] is None
    assert removal_lines(DONE, "sqlite:///demo/studies.db", 1.25, Path("demo/digits")) == [
        "study digits in sqlite:///demo/studies.db: 14 complete, 2 stopped, 6 replicates, "
        "a front of 12 points, best 98.9 %, from 0.0620 ms",
        "its files in demo/digits: 1.2 MB",
    ]
