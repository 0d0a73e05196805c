import numpy as np
import pytest
from fake_records import GPU, doubtful, fake_point, fake_record, fake_records, fake_study
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread
from raises import raises_code

from searchlab.front.points import study_front
from searchlab.report import plots
from searchlab.report.axes import axes_of, description, is_logarithmic, linear_ticks, log_ticks, padded
from searchlab.report.page import page_html
from searchlab.report.picture import picture
from searchlab.report.plots import write_html, write_png


@pytest.mark.parametrize(
    ("objectives", "expected"),
    [
        (("accuracy", "latency_ms"), ("latency_ms", "accuracy", None)),
        (("macs", "accuracy", "params"), ("macs", "accuracy", "params")),
        (("macs", "params"), ("macs", "params", None)),
    ],
)
def test_which_objective_lies_on_which_axis(objectives, expected):
    axes = axes_of(fake_study(*objectives))
    assert (axes.x.name, axes.y.name, axes.colour.name if axes.colour else None) == expected


def test_the_axis_of_a_latency_names_the_engine_that_it_was_measured_in():
    study = fake_study()
    axes = axes_of(study, fake_records(3))
    assert axes.title(axes.x) == "latency p50 in torch (ms)"
    assert axes_of(study).title(axes.x) == "latency p50 (ms)"


@pytest.mark.parametrize(
    "objectives",
    [("accuracy", "latency_ms"), pytest.param(("accuracy", "latency_ms", "params"), marks=pytest.mark.slow)],
)
def test_page_and_picture_are_written(tmp_path, objectives):
    study, records = fake_study(*objectives), fake_records(5)
    html, png = tmp_path / "plots" / "front.html", tmp_path / "plots" / "front.png"
    write_html(html, study, records)
    write_png(png, study, records)
    page = html.read_text(encoding="utf-8")
    # plotly.js itself is in the file: no network is needed.
    assert len(page) > 1_000_000 and "cdn.plot.ly/plotly" not in page
    assert "Front of digits" in page and "resnet8 (reference)" in page and "AMD EPYC 7763" in page
    pixels = imread(png)
    assert pixels.shape[:2] == (1000, 1600)
    front = np.array([0x12, 0x59, 0xA8]) / 255
    assert (np.abs(pixels[..., :3] - front).max(axis=-1) < 0.02).sum() > 500


def test_the_page_names_no_score_where_one_exit_takes_everyone():
    alone, both = fake_point(350, 3e6, 3000, 0.4, exits=(2,), thresholds=()), fake_point(300, 1e6, 1000, 0.2)
    study, record = fake_study(), fake_record(0, [both, alone])
    assert description(record, both).endswith("exits 1, final by margin")
    assert description(record, alone).endswith("exits final")
    page = page_html(study, [record], study_front(study, [record]), "")
    assert page.count(">margin<") == 1 and '<td class="text">–</td>' in page


def test_a_latency_in_doubt_is_marked_on_the_page_and_in_the_picture(tmp_path, monkeypatch):
    study, records = fake_study(), [doubtful(record) for record in fake_records(2)[:2]]
    note = "additive and end-to-end latency differ by 25 %"
    write_html(tmp_path / "front.html", study, records)
    page = (tmp_path / "front.html").read_text(encoding="utf-8")
    assert "~ latency in doubt (" in page and f": {note})" in page and "<td>~" in page and f"~ {note}" in page
    texts = []
    monkeypatch.setattr(plots, "save", lambda figure, path: texts.extend(t.get_text() for t in figure.axes[0].texts))
    write_png(tmp_path / "front.png", study, records)
    assert "~1" in texts and any(note in text for text in texts)
    texts.clear()
    write_png(tmp_path / "front.png", study, fake_records(2))
    assert "1" in texts and not any("~" in text for text in texts)


def test_page_and_picture_number_points_as_the_whole_front_does(tmp_path, monkeypatch):
    study, records = fake_study(), fake_records(5)
    whole, shown = study_front(study, records, most=None), study_front(study, records)
    numbers = [str(entry.number) for entry in shown]
    assert len(shown) < len(whole) and numbers != [str(i) for i in range(1, len(shown) + 1)]
    page = page_html(study, records, shown, "")
    assert f"The front: {len(shown)} of {len(whole)} points" in page
    assert all(f"<tr><td>{number}</td>" in page for number in numbers)
    texts = []
    monkeypatch.setattr(plots, "save", lambda figure, path: texts.extend(t.get_text() for t in figure.axes[0].texts))
    write_png(tmp_path / "front.png", study, records)
    assert texts[: len(numbers)] == numbers


def test_one_point_alone_can_be_drawn(tmp_path):
    records = [fake_record(0, [fake_point(300, 1e6, 1000)], machine=None)]
    write_png(tmp_path / "one.png", fake_study("accuracy", "macs", "params"), records)
    write_html(tmp_path / "one.html", fake_study("accuracy", "macs"), records)
    assert (tmp_path / "one.png").stat().st_size > 10_000


def test_the_reference_is_drawn_where_latency_is_the_axis_alone():
    records = fake_records(3)
    name, latency_ms = picture(fake_study(), records).reference
    assert name == "resnet8" and latency_ms in {record.latency.reference.p50 for record in records[:3]}
    assert picture(fake_study("accuracy", "macs"), records).reference is None


def test_the_picture_holds_the_whole_front_and_its_intervals():
    study, records = fake_study(), fake_records(5)
    drawn = picture(study, records)
    assert {e.point for e in drawn.front} == {e.point for e in study_front(study, records, most=None)}
    assert [entry.point.latency_ms for entry in drawn.front] == sorted(e.point.latency_ms for e in drawn.front)
    lowest = min(entry.point.accuracy_estimate.low for entry in drawn.numbered)
    assert drawn.scales.y_range[0] < 100 * lowest


def test_a_plot_without_data_is_refused(tmp_path):
    with raises_code("no-results", where="study digits"):
        write_png(tmp_path / "x.png", fake_study(), fake_records(0))
    with raises_code("machine-differs", where="study digits"):
        write_html(tmp_path / "x.html", fake_study(), [fake_record(0), fake_record(1, machine=GPU)])
    assert list(tmp_path.iterdir()) == []


def test_the_page_escapes_what_it_is_given():
    study = fake_study(description="<script>alert(1)</script> & more", name="<b>")
    page = page_html(study, fake_records(1), study_front(study, fake_records(1)), "PLOT")
    assert "<script>alert" not in page and "&lt;script&gt;" in page and "&lt;b&gt;" in page and "PLOT" in page
    assert "No trial is complete yet" in page_html(study, [], [], "")


@given(st.floats(1e-4, 1e9), st.floats(1.001, 1e6))
def test_ticks_lie_within_the_axis(low, factor):
    high = low * factor
    linear = linear_ticks(*padded(low, high, logarithmic=False))
    assert 3 <= len(linear) <= 13
    assert linear == sorted(set(linear))
    for tick in log_ticks(low, high):
        assert low <= tick <= high


def test_an_axis_is_logarithmic_beyond_a_factor_of_ten():
    assert not is_logarithmic([1.0, 10.0]) and is_logarithmic([1.0, 10.1]) and not is_logarithmic([0.0, 10.0])
