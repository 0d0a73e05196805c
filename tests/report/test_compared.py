from dataclasses import replace

from fake_records import CPU, GPU, fake_records, fake_study
from raises import raises_code

from searchlab.front.points import study_front
from searchlab.report.compared import COLOURS, DASHES, compared_figure, lines_of, write_compared_html

STUDY = fake_study()
TORCH, OTHER = fake_records(machine=CPU), fake_records(machine=GPU)


def test_every_line_is_the_front_of_its_profile():
    first, second = lines_of(STUDY, {"study": TORCH, "gpu": OTHER})
    front = [(entry.record.number, entry.point) for entry in study_front(STUDY, TORCH, most=None)]
    assert {(record.number, point) for record, point in first.entries} == set(front)
    assert first.title == "study: torch 2.15.0, cpu (2 threads) AMD EPYC 7763"
    assert second.title.startswith("gpu: cuda-graphs ")
    latencies = [point.latency_ms for _, point in first.entries]
    assert latencies == sorted(latencies)


def test_lines_of_many_profiles_can_be_told_apart():
    lines = lines_of(STUDY, {str(number): TORCH for number in range(len(COLOURS) * len(DASHES))})
    assert len({(line.colour, line.dash) for line in lines}) == len(lines)


def test_a_page_says_what_its_lines_are(tmp_path):
    write_compared_html(tmp_path / "profiles.html", STUDY, {"study": TORCH, "gpu": OTHER})
    text = (tmp_path / "profiles.html").read_text()
    assert "Fronts of digits" in text and "latency p50 (ms)" in text and "no front mixes them" in text
    assert [trace.name.split(":")[0] for trace in compared_figure(STUDY, {"a": TORCH, "b": OTHER}).data] == ["a", "b"]


def test_a_profile_without_a_latency():
    unmeasured = [replace(record, latency=None) for record in TORCH]
    with raises_code("no-results", where="profile gpu of study digits"):
        lines_of(STUDY, {"study": TORCH, "gpu": unmeasured})
