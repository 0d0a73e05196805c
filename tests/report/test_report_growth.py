import json
from dataclasses import replace

import numpy as np
import pytest
from fake_records import fake_point, fake_record, fake_records, fake_study
from matplotlib.image import imread
from quick_part import quick_part
from raises import raises_code

from searchlab.front.history import SearchHistory
from searchlab.report import growth as growth_module
from searchlab.report.growth import (
    BAND,
    SPARKS,
    growth_payload,
    sparkline,
    standing,
    write_growth_html,
    write_growth_png,
)
from searchlab.report.importance import Bars, write_importance_html, write_importance_png

BLUE = np.array([0x12, 0x59, 0xA8]) / 255


def blue_pixels(path) -> int:
    return int((np.abs(imread(path)[..., :3] - BLUE).max(axis=-1) < 0.02).sum())


@pytest.mark.parametrize(
    "objectives",
    quick_part(
        [("accuracy", "latency_ms"), ("accuracy", "macs", "params"), ("macs", "params")], [("accuracy", "latency_ms")]
    ),
)
def test_growth_is_drawn_with_every_trial_that_was_trained(tmp_path, objectives):
    growth = SearchHistory(fake_study(*objectives), fake_records(4))
    write_growth_html(tmp_path / "growth.html", growth)
    write_growth_png(tmp_path / "growth.png", growth)
    page = (tmp_path / "growth.html").read_text(encoding="utf-8")
    assert len(page) > 1_000_000 and "Hypervolume of digits" in page and "epochs times the MACs" in page
    for step in growth.steps:
        named = rf"\u003cb\u003etrial {step.record.number}\u003c\u002fb\u003e" in page
        assert named == (step.record.epochs > 0), "an infeasible trial spent nothing"
    assert imread(tmp_path / "growth.png").shape[:2] == (1000, 1600)
    assert blue_pixels(tmp_path / "growth.png") > 500


def test_one_trial_or_one_without_a_front_can_be_drawn_and_none_is_said(tmp_path):
    for records in ([fake_record(0)], [fake_record(0, state="stopped")]):
        write_growth_png(tmp_path / "one.png", SearchHistory(fake_study(), records))
        write_growth_html(tmp_path / "one.html", SearchHistory(fake_study(), records))
    with raises_code("no-results", where="study digits"):
        write_growth_png(tmp_path / "none.png", SearchHistory(fake_study(), [fake_record(0, state="infeasible")]))
    assert not (tmp_path / "none.png").exists()


def drawn_in(monkeypatch, tmp_path, growth):
    """What the picture's axes hold."""
    canvases = []
    monkeypatch.setattr(growth_module, "save", lambda figure, path: canvases.append(figure.axes[0]))
    write_growth_png(tmp_path / "growth.png", growth)
    return canvases[0]


def test_the_band_is_in_the_legend(tmp_path, monkeypatch):
    growth = SearchHistory(fake_study(), fake_records(4))
    canvas = drawn_in(monkeypatch, tmp_path, growth)
    assert BAND in [text.get_text() for text in canvas.get_legend().get_texts()]
    write_growth_html(tmp_path / "growth.html", growth)
    assert BAND in (tmp_path / "growth.html").read_text(encoding="utf-8")


def test_every_trial_is_within_the_picture_and_a_first_front_has_no_band(tmp_path, monkeypatch):
    """Two trials below min_accuracy, then the first with a front: nothing has grown yet."""
    weak = [fake_record(number, [fake_point(10, 1e6, 1000, 0.4)]) for number in (0, 1)]
    growth = SearchHistory(fake_study(min_accuracy=0.5), [*weak, fake_record(2)])
    assert [step.hypervolume > 0 for step in growth.steps] == [False, False, True]
    canvas = drawn_in(monkeypatch, tmp_path, growth)
    low, high = canvas.get_ylim()
    assert low <= 0 < growth.last.hypervolume <= high
    assert BAND not in [text.get_text() for text in canvas.get_legend().get_texts()]


def test_growth_as_plain_data():
    growth = SearchHistory(fake_study("accuracy", "latency_ms"), fake_records(3))
    payload = json.loads(json.dumps(growth_payload(growth), allow_nan=False))
    assert payload["reference_point"] == {"accuracy": 0.0, "latency_ms": None}
    assert payload["cost_scales"] == growth.cost_scales and payload["standard_error"] == growth.noise > 0
    assert [row["trial"] for row in payload["steps"]] == list(range(7))
    last = growth.last
    expected = {"trial": 6, "state": "failed", "trained": 5, "epochs": 108, "training": last.training}
    assert payload["steps"][-1] == expected | {"hypervolume": last.hypervolume}


def test_where_a_study_stands_in_words():
    record = fake_record(0)
    said = standing(SearchHistory(fake_study(max_latency_ms=0.4), [record]))
    assert said.startswith("Hypervolume 0.") and said.endswith(
        "after 30 epochs; training spent: 13.0 M (epochs × MACs per image)"
    )
    assert standing(SearchHistory(fake_study())) == "No trial has ended"


def test_a_spark_line_rises_with_the_hypervolume():
    growth = SearchHistory(
        fake_study(), [fake_record(0, state="stopped"), *(fake_record(number) for number in range(1, 9))]
    )
    line = sparkline(growth, 40)
    heights = [SPARKS.index(mark) for mark in line]
    assert len(line) == 40 and heights == sorted(heights)
    assert heights[0] == 0 and heights[-1] == len(SPARKS) - 1
    assert sparkline(SearchHistory(fake_study())) == ""
    assert set(sparkline(SearchHistory(fake_study(), [fake_record(0)]))) <= set(SPARKS[:2])


def test_importances_are_drawn_and_the_page_says_what_they_leave_out(tmp_path):
    shares = {"accuracy": {"rate": 0.9, "<width>": 0.1}, "hypervolume": {"rate": 0.2, "<width>": 0.8}}
    bars = Bars(fake_study(), fake_records(12), shares, {"accuracy": 0.3, "hypervolume": 0.4}, 12, ("deeper",))
    assert bars.parameters == ["rate", "<width>"]
    write_importance_html(tmp_path / "i.html", bars)
    write_importance_png(tmp_path / "i.png", bars)
    page = (tmp_path / "i.html").read_text(encoding="utf-8")
    assert "Importance of the parameters of digits" in page and "Based on 12 complete trials." in page
    assert "Not included: 2 stopped, 1 infeasible, 1 failed" in page
    assert "Excluded, because not every trial has them: deeper." in page
    assert blue_pixels(tmp_path / "i.png") > 5000
    whole = replace(bars, records=fake_records(12)[:12], conditional=())
    write_importance_html(tmp_path / "i.html", whole)
    page = (tmp_path / "i.html").read_text(encoding="utf-8")
    assert "Not included" not in page and "Excluded" not in page
