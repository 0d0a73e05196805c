import re
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from fake_records import fake_record, fake_study
from matplotlib.image import imread
from raises import raises_code
from rich.console import Console

from searchlab.front.points import study_front
from searchlab.front.replicates import Mean, Optimism, Reading, Replicate, repeated
from searchlab.objective import OBJECTIVES
from searchlab.report.replicates import (
    accuracy_cell,
    cost_cell,
    costs_of,
    doubt_lines,
    optimism_lines,
    replicates_frame,
    replicates_payload,
    replicates_view,
)
from searchlab.report.replicates_plot import doubt_of, write_replicates_html, write_replicates_png

STUDY = fake_study()


def fronted(*losses: int, study=STUDY):
    """A front of two trials, each with a replicate for every number of samples that it lost."""
    records, replicates = [], []
    for number in (0, 3):
        record = fake_record(number)
        points = tuple({point.rule: point for point in record.frontier.points}.values())
        record = replace(record, frontier=replace(record.frontier, points=points))
        records.append(record)
        for run, lost in enumerate(losses, start=1):
            readings = tuple(read(number, point, run, lost) for point in points)
            replicates.append(Replicate(number, run, record, readings))
    return repeated(study_front(study, records), replicates), replicates


def read(number, point, run, lost) -> Reading:
    fresh = replace(point, correct=point.correct - lost, latency_ms=point.latency_ms * (1 + 0.01 * run))
    return Reading(number, point.rule, fresh, replace(fresh, correct=fresh.correct - 1))


def printed(view, width: int = 200) -> str:
    console = Console(width=width, record=True, file=StringIO(), highlight=False)
    console.print(view)
    return console.export_text()


def test_a_line_a_point_with_what_it_was_picked_for_and_what_seeds_reach():
    front, replicates = fronted(3, 6, 9)
    lines = printed(replicates_view(STUDY, front, replicates)).splitlines()
    for entry, line in zip(front, lines[2:], strict=False):
        cells = re.split(r"\s{2,}", line.strip())
        assert cells[:4] == [
            *(str(entry.picked.number), str(entry.picked.record.number), "3"),
            f"{100 * entry.picked.point.accuracy:.1f} %",
        ]
        assert cells[4] == accuracy_cell(entry.mean("accuracy", "validation"))
        assert cells[5] == accuracy_cell(entry.mean("accuracy", "test"))
    assert lines[-1] == "6 replicates: 6 complete · next: searchlab plot digits --replicates"


@pytest.mark.parametrize("width", [80, 120])
def test_a_narrow_table_loses_nothing(width):
    front, replicates = fronted(3, 6, 9)
    text = printed(replicates_view(STUDY, front, replicates), width)
    assert max(map(len, text.splitlines())) <= width and "…" not in text


@pytest.mark.parametrize(
    ("lost", "says"),
    [
        (Mean(0.02, (0.005, 0.035)), "95.0 % there: 2.0 points less [0.5, 3.5]. On"),
        (Mean(0.02, (-0.01, 0.05)), "95.0 % there: 2.0 points less [-1.0, 5.0], which may be chance. On"),
        (Mean(-0.02, (-0.03, -0.01)), "99.0 % there: 2.0 points more [1.0, 3.0]. On"),
        (Mean(0.02, None), "95.0 % there: 2.0 points less. On"),
    ],
)
def test_optimism_in_words(lost, says):
    ends = lost.interval and (0.97 - lost.interval[1], 0.97 - lost.interval[0])
    found = Optimism(12, 3, 0.97, Mean(0.97 - lost.value, ends), Mean(0.94, (0.93, 0.95)))
    (line,) = optimism_lines(found)
    assert line.startswith("Selection bias: the 12 points were selected at 97.0 % of the validation split on average;")
    assert says in line and line.endswith("On the test split they reach 94.0 % [93.0, 95.0].")


def test_few_seeds_are_explained_below_the_table():
    assert "with 3 it reaches 2.5 standard deviations" in doubt_lines(fronted(1, 2, 3)[0])[0]
    assert doubt_lines(fronted(1)[0]) == ["One seed gives no interval: use --seeds 3 or more."]
    assert doubt_lines(fronted()[0]) == []


def test_one_seed_shows_no_interval():
    front, replicates = fronted(4)
    assert "[" not in printed(replicates_view(STUDY, front, replicates))
    assert replicates_payload(STUDY, front, replicates)["optimism"]["lost"]["low"] is None


def test_two_seeds_are_shown_without_an_interval():
    front, replicates = fronted(3, 6)
    text = printed(replicates_view(STUDY, front, replicates))
    picked = front[0].picked.point
    low, high = (100 * (picked.correct - lost) / picked.samples for lost in (6, 3))
    assert f"{(low + high) / 2:.1f} % ({low:.1f} to {high:.1f})" in text
    assert "[" not in text and "( ) shows the lower and the higher value of two seeds" in text
    assert " ms (" in text and " to " in text
    assert replicates_payload(STUDY, front, replicates)["points"][0]["fresh_test_accuracy"]["low"] is None


def test_equal_values_of_all_seeds_show_no_interval():
    front, replicates = fronted(3, 3, 3)
    text = printed(replicates_view(STUDY, front, replicates))
    assert not re.search(r"\[([\d.]+), \1\]", text) and "Equal values for all seeds give no interval" in " ".join(
        text.split()
    )


def test_those_that_failed_are_named():
    front, (first, *rest) = fronted(1, 2)
    failed = replace(first, readings=(), record=replace(first.record, state="failed", reason="the loss is nan"))
    text = printed(replicates_view(STUDY, front, [failed, *rest]))
    assert "Trial 0, fresh seed 1: failed, the loss is nan" in text and "4 replicates: 1 failed, 3 complete" in text


def test_replicates_without_a_complete_one_are_reported():
    front, _ = fronted()
    assert "No replicate is complete" in printed(replicates_view(STUDY, front, []))
    with raises_code("no-results", where="study digits"):
        doubt_of(STUDY, front)


def test_costs_that_vary_are_shown():
    assert [cost.name for cost in costs_of(STUDY)] == ["latency_ms"]
    assert [cost.name for cost in costs_of(fake_study("accuracy", "latency_ms", "macs"))] == ["latency_ms", "macs"]
    assert [cost.name for cost in costs_of(fake_study("accuracy", "params"))] == ["macs"]
    assert cost_cell(Mean(0.412, (0.405, 0.419)), OBJECTIVES["latency_ms"]) == "0.412 ms [.405, .419]"
    assert cost_cell(Mean(4.1e6, (4e6, 4.2e6)), OBJECTIVES["macs"]) == "4.1 M [4.0 M, 4.2 M]"
    assert cost_cell(None, OBJECTIVES["macs"]) == "–"


def test_a_frame_has_three_columns_for_a_mean():
    front, _ = fronted(3, 6, 9)
    frame = replicates_frame(STUDY, front)
    assert len(frame) == len(front) and (frame["seeds"] == 3).all()
    mean = front[0].mean("accuracy", "test")
    row = frame.iloc[0]
    assert (row["fresh_test_accuracy"], row["fresh_test_accuracy_low"]) == (mean.value, mean.interval[0])
    assert row["accuracy"] == front[0].picked.point.accuracy and row["fresh_test_latency_ms"] > row["latency_ms"]


# -- drawing


def test_marks_are_means_and_bars_are_intervals_on_both_axes():
    front, _ = fronted(3, 6, 9)
    drawn = doubt_of(STUDY, front)
    test = drawn.fresh[1]
    for place, entry in enumerate(front):
        accuracy, latency = entry.mean("accuracy", "test"), entry.mean("latency_ms", "test")
        assert (test.x[place], test.y[place]) == pytest.approx((latency.value, 100 * accuracy.value))
        assert test.y[place] - test.y_bars[0][place] == pytest.approx(100 * accuracy.interval[0])
        assert test.x[place] + test.x_bars[1][place] == pytest.approx(latency.interval[1])
        assert drawn.picked.y[place] == pytest.approx(100 * entry.picked.point.accuracy)


def test_wide_bars_do_not_squeeze_the_marks():
    """With intervals of everything, all marks still span a third of the picture."""
    drawn = doubt_of(STUDY, fronted(0, 200)[0])
    low, high = drawn.ends("y", logarithmic=False)
    values = [y for marks in (drawn.picked, *drawn.fresh) for y in marks.y]
    assert low < min(values) and max(values) < high
    assert max(values) - min(values) > 0.3 * (high - low)


@pytest.mark.parametrize("objectives", [("accuracy", "latency_ms"), ("accuracy", "macs"), ("latency_ms", "params")])
def test_the_axes_hold_all_marks(objectives):
    study = fake_study(*objectives)
    drawn = doubt_of(study, fronted(3, 6, study=study)[0])
    for axis, logarithmic in (("x", drawn.logarithmic), ("y", False)):
        low, high = drawn.ends(axis, logarithmic=logarithmic)
        assert all(low < value < high for marks in (drawn.picked, *drawn.fresh) for value in getattr(marks, axis))
        assert low > 0 or not logarithmic


@pytest.mark.slow
def test_a_picture_and_a_page(tmp_path):
    front, _ = fronted(3, 6)
    write_replicates_png(tmp_path / "front.png", STUDY, front)
    write_replicates_html(tmp_path / "front.html", STUDY, front)
    pixels = imread(tmp_path / "front.png")
    assert pixels.shape[:2] == (1000, 1600) and len(np.unique(pixels.reshape(-1, 4), axis=0)) > 50
    page = (tmp_path / "front.html").read_text()
    assert "error_x" in page and "error_y" in page and "Selection bias" in page
    assert "<script src" not in page
