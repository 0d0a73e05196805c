from dataclasses import replace

import numpy as np
import pytest
from fake_records import fake_record, fake_study
from matplotlib.image import imread
from raises import raises_code

from searchlab.architecture import VGG
from searchlab.candidate import Candidate
from searchlab.record import Epoch
from searchlab.report.convergence import DASHES, HUES, lines_of, panels, write_convergence_html, write_convergence_png


def converged(number: int, accuracies=(0.5, None, 0.75, 0.98), architecture=None, **fields):
    """A record with these accuracies of the final head; None where the epoch was not looked at."""
    curve = tuple(
        Epoch(epoch, 2.0 / epoch, 0.1, () if accuracy is None else (0.1, accuracy))
        for epoch, accuracy in enumerate(accuracies, start=1)
    )
    record = replace(fake_record(number), curve=curve, **fields)
    return record if architecture is None else replace(record, candidate=Candidate(architecture))


def test_a_line_is_the_final_heads_error_where_it_was_looked_at():
    (line,) = lines_of(fake_study(), [converged(3)])
    assert (line.name, line.epochs, line.looked) == ("trial 3", (1, 2, 3, 4), (1, 3, 4))
    assert line.losses == (2.0, 1.0, 2.0 / 3, 0.5)
    assert line.errors == pytest.approx((50, 25, 2))


def test_lines_follow_kinds_and_trials_and_bear_their_rows_names():
    study = fake_study(enqueue={"narrow": {"a": 1}, "other": {"a": 2}, "wide": {"a": 3}})
    records = [
        converged(2, row="wide"),
        converged(3),
        converged(0, row="narrow"),
        converged(1, architecture=VGG(), row="other"),
        fake_record(4, state="failed"),
    ]
    assert [line.name for line in lines_of(study, records)] == ["narrow", "wide", "trial 3", "other"]


def test_architectures_of_one_kind_are_shades_of_one_hue():
    records = [*(converged(number) for number in range(3)), converged(3, architecture=VGG())]
    lines = lines_of(fake_study(), records)
    colours = [line.colour for line in lines]
    assert (colours[0], colours[2], colours[3]) == (*HUES[0], HUES[1][0])
    reds = [int(colour[1:3], 16) for colour in colours]
    assert reds[0] < reds[1] < reds[2]
    assert [line.dashes for line in lines] == [*DASHES[:3], DASHES[0]]


def test_more_kinds_than_hues_can_be_drawn(monkeypatch):
    monkeypatch.setattr("searchlab.report.convergence.HUES", HUES[:1])
    assert len(lines_of(fake_study(), [converged(0), converged(1, architecture=VGG())])) == 2


def test_an_axis_follows_its_values():
    errors, losses = panels(lines_of(fake_study(), [converged(0), converged(1, (0.6, 0.7))]))
    assert errors.logarithmic and not losses.logarithmic
    assert errors.y_range[0] < 2 and errors.y_range[1] > 50 and {5, 10, 20} <= set(errors.y_ticks)
    assert all(losses.y_range[0] <= tick <= losses.y_range[1] for tick in losses.y_ticks)


@pytest.mark.slow
@pytest.mark.parametrize(
    "accuracies", [(0.3, 0.5, 0.9), *(pytest.param(each, marks=pytest.mark.slow) for each in [(0.4,), (1.0, 1.0)])]
)
def test_page_and_picture_are_written(tmp_path, accuracies):
    study = fake_study(name="<mine>", enqueue={"plain & simple": {"a": 1}, "other": {"a": 2}})
    records = [converged(0, accuracies), converged(1, accuracies[:1])]
    html, png = tmp_path / "plots" / "c.html", tmp_path / "plots" / "c.png"
    write_convergence_html(html, study, records)
    write_convergence_png(png, study, records)
    page = html.read_text(encoding="utf-8")
    assert len(page) > 1_000_000 and "cdn.plot.ly/plotly" not in page
    assert "Convergence of &lt;mine&gt;" in page and "<mine>" not in page and "error on the validation split" in page
    pixels = imread(png)
    assert pixels.shape[:2] == (1000, 2200)
    for line in lines_of(study, records)[:1] if len(accuracies) > 1 else ():
        colour = np.array([int(line.colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        # More than its line in the legend.
        assert (np.abs(pixels[..., :3] - colour).max(axis=-1) < 0.02).sum() > 400


def test_a_plot_without_data_is_refused(tmp_path):
    unseen = converged(0, (None, None))
    for records in ([], [unseen], [fake_record(1, state="failed")]):
        with raises_code("no-results", where="study digits"):
            write_convergence_png(tmp_path / "x.png", fake_study(), records)
    assert list(tmp_path.iterdir()) == []
