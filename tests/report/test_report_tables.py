import dataclasses
import io

import pytest
from fake_records import CPU, doubtful, fake_point, fake_record, fake_records, fake_study
from rich.console import Console

from searchlab.front.points import study_front
from searchlab.operating_point import Estimate, ExitRule
from searchlab.record import LatencyCheck
from searchlab.report import units
from searchlab.report.show import point_view, trial_view
from searchlab.report.tables import front_view, spaces_view, studies_view, trials_view


def text_of(view, width=100):
    """The view as plain text, as in a pipe."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(view)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [(912, "912"), (999, "999"), (151_234, "151 k"), (999_960, "1.0 M"), (4_100_000, "4.1 M"), (41.26e6, "41.3 M")],
)
def test_counts(value, text):
    assert units.count(value) == text


def test_other_units():
    assert units.percent(0.9861) == "98.6 %"
    assert units.percent_interval(Estimate(0.986, 0.9741, 0.9932)) == "[97.4, 99.3]"
    assert units.milliseconds(0.41234) == "0.412 ms"
    assert units.milliseconds(14.41) == "14.4 ms"
    assert units.milliseconds(0.00212) == "0.0021 ms"
    assert units.milliseconds(0.02252) == "0.0225 ms"
    assert units.latency_interval(Estimate(0.412, 0.4049, 0.4196)) == "[.405, .420]"
    assert units.latency_interval(Estimate(1.02, 0.99, 1.05)) == "[.99, 1.05]"
    assert [units.seconds(s) for s in (4.21, 85, 200, 7600)] == ["4.2 s", "85 s", "3.3 min", "2.1 h"]
    assert [units.threshold(t) for t in (float("inf"), 0.83214)] == ["never", "0.8321"]
    assert units.count(None) == units.percent(None) == units.milliseconds(None) == units.NOTHING


def one_point_study():
    point = fake_point(355, 4.1e6, 151_000, 0.412, exits=(0, 2), thresholds=(0.83,))
    record = fake_record(11, [point])
    return record, study_front(
        fake_study(), [record], tests={(11, point.rule): dataclasses.replace(point, correct=350)}
    )


@pytest.mark.parametrize("width", [80, 100, 140])
def test_front_holds_the_figures_unbroken_at_any_width(width):
    record, points = one_point_study()
    text = text_of(front_view(fake_study(), [record], points), width)
    for figure in ("98.6 %", "[96.8, 99.4]", "97.2 %", "0.412 ms", "[.406, .420]", "4.1 M", "151 k", "1, final"):
        assert figure in text
    assert "margin" in text and "…" not in text
    assert "1 trial: 1 complete" in text and "searchlab plot digits" in text and CPU.label in text
    assert max(len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("width", [80, 100, 120])
def test_all_views_of_a_whole_study_fit(width):
    study, records = fake_study(), fake_records()
    points = study_front(study, records)
    views = [front_view(study, records, points), trials_view(study, records), point_view(study, points[3])]
    for view in [*views, *(trial_view(study, record) for record in records)]:
        text = text_of(view, width)
        assert "…" not in text
        assert max(len(line) for line in text.splitlines()) <= width


def test_front_is_one_line_a_point_where_there_is_room():
    study, records = fake_study(), fake_records()
    points = study_front(study, records)
    # Two lines of header, an empty one, the legend (two lines or three), and the footer (one line or two).
    assert len(text_of(front_view(study, records, points), 160).splitlines()) == 2 + len(points) + 1 + 2 + 1
    assert len(text_of(front_view(study, records, points), 80).splitlines()) == 2 + 2 * len(points) + 1 + 3 + 2


def test_a_front_with_points_left_out_says_how_many_and_how_to_see_all():
    study, records = fake_study(), fake_records()
    whole = study_front(study, records, most=None)
    text = text_of(front_view(study, records, study_front(study, records, most=5), " --output demo"), 160)
    assert f"5 of {len(whole)} points (searchlab front digits --output demo --points {len(whole)} shows all)" in text
    shown = [line.split()[0] for line in text.splitlines() if line.split()[:1] and line.split()[0].isdecimal()]
    assert shown[0] == "1" and shown[4] == str(len(whole)), "numbers of the whole front"
    assert f" of {len(whole)} points" not in text_of(front_view(study, records, whole), 160)


def test_the_legend_of_a_front_names_the_reference_and_says_what_exits_are():
    study, records = fake_study(), fake_records()
    text = text_of(front_view(study, records, study_front(study, records)), 160)
    assert "× ref.: latency as a multiple of resnet8's" in text
    assert "exits used: 2 is the exit after stage 2, final the head after the last stage" in text
    unmeasured = text_of(front_view(study, fake_records(machine=None), []), 160)
    assert "× ref." not in unmeasured


def test_a_front_without_latency_has_no_columns_for_it():
    study, records = fake_study("accuracy", "macs"), fake_records(machine=None)
    text = text_of(front_view(study, records, study_front(study, records)))
    assert "latency" not in text and "ref." not in text and "MACs" in text


@pytest.mark.parametrize(
    ("records", "line"),
    [([], "searchlab run digits"), (fake_records(0), "4 trials: 2 stopped, 1 infeasible, 1 failed")],
)
def test_an_empty_front_says_what_to_do(records, line):
    study = fake_study()
    text = text_of(front_view(study, records, study_front(study, records)))
    assert "no trial of study digits is complete" in text and line in text


@pytest.mark.parametrize(
    ("trials", "state", "command"),
    [(5, "", "resume"), (4, "", "trials"), (4, "interrupted", "resume"), (5, "running", "trials")],
)
def test_an_empty_front_suggests_to_resume_only_where_trials_are_left(trials, state, command):
    study, records = fake_study(trials=trials), fake_records(0)
    if state:
        records[0] = fake_record(0, state=state)
    text = text_of(front_view(study, records, study_front(study, records)))
    assert f"next: searchlab {command} digits" in text


@pytest.mark.parametrize("width", [80, 140])
def test_no_score_stands_beside_a_point_of_one_exit(width):
    """Nothing is decided there."""
    alone = fake_point(350, 3e6, 3000, 0.4, exits=(2,), thresholds=())
    study, record = fake_study(), fake_record(0, [alone])
    (point,) = study_front(study, [record])
    for view in (front_view(study, [record], [point]), point_view(study, point), trial_view(study, record)):
        assert "margin" not in text_of(view, width)
    assert "takes all" in text_of(point_view(study, point), width)


def test_trials_show_what_their_best_point_costs():
    """And not the whole network, which no sample need pass."""
    best = fake_point(350, 3e6, 3000, 0.4)
    record = fake_record(0, [fake_point(300, 1e6, 1000, 0.2), best])
    text = text_of(trials_view(fake_study(), [record, fake_record(1, state="infeasible", reason="over it")]), 120)
    rows = {cells[1]: cells for line in text.splitlines() if len(cells := line.split()) > 1}
    assert rows["complete"][2:9] == ["97.2", "%", "0.400", "ms", "3.0", "M", "3.0"]
    assert rows["infeasible"][2:6] == ["–", "–", "–", "–"]
    assert "those of a trial's most accurate point" in text


def test_trials_say_how_they_ended():
    text = text_of(trials_view(fake_study(), fake_records()), 160)
    assert "worse than 67 % of the trials that reached it" in text
    assert "[Errno 28] loss is NaN" in text
    assert "318 k parameters exceed the cap of 300 k" in text
    assert "13 trials: 9 complete, 2 stopped, 1 infeasible, 1 failed" in text
    assert "searchlab run digits" in text_of(trials_view(fake_study(), []))


def test_what_goes_on_with_an_interrupted_trial_is_said_in_every_view():
    study, records = fake_study(), [*fake_records(), fake_record(13, state="interrupted")]
    front, kept = study_front(study, records), " --output demo"
    table = text_of(trials_view(study, records, kept), 160)
    assert "1 interrupted" in table and table.rstrip().endswith("next: searchlab resume digits --output demo")
    (row,) = [line.split() for line in table.splitlines() if line.split()[:1] == ["13"]]
    assert row[:2] == ["13", "interrupted"] and row[-3:] == ["–"] * 3, "no epochs and seconds are claimed of it"
    assert "next: searchlab resume digits --output demo" in text_of(front_view(study, records, front, kept), 160)
    assert "searchlab resume digits --output demo" in text_of(trial_view(study, records[-1], kept))
    working = [*records, fake_record(14, state="running")]
    assert "next: searchlab front digits" in text_of(trials_view(study, working)), "a process works on it already"


def test_a_front_point_is_shown_with_its_parts_exits_and_machine():
    record, (point,) = one_point_study()
    text = text_of(point_view(fake_study(), point))
    assert "355 of 360" in text and "350 of 360" in text
    assert "0.83" in text and "takes the rest" in text and "50.0 %" in text
    assert "blocks=1,2,2 width=12" in text and "hidden=32" in text
    assert f"candidate {record.candidate.id}" in text
    assert "block 5" in text and "head 2" in text and "decision by margin" in text
    used = {line.split()[1]: line.split()[-1] for line in text.splitlines() if line.startswith("head ")}
    assert used == {"0": "yes", "1": "no", "2": "yes"}
    assert "× resnet8" in text and "AMD EPYC 7763" in text and "torch 2.15.0" in text
    assert "runs/digits/trial-00011" in text


def test_latencies_of_parts_add_up_to_their_sums_and_each_latency_says_what_it_is():
    record, (point,) = one_point_study()
    part_ms, head_ms, decision_ms = 0.49 / 7, 0.49 / 21, 0.004
    latency = record.latency
    segments = dataclasses.replace(latency.segments, stages_ms=(part_ms,) * 6, heads_ms=(head_ms,) * 3)
    check = LatencyCheck(0.5, 0.51, ExitRule("margin", (0, 1, 2), (0.5, 0.6)), 40)
    record = dataclasses.replace(record, latency=dataclasses.replace(latency, segments=segments, check=check))
    text = text_of(point_view(fake_study(), dataclasses.replace(point, record=record)), 120)
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert units.milliseconds(6 * part_ms + 2 * head_ms + decision_ms) in lines["sum of the parts in use"]
    assert units.milliseconds(6 * part_ms + 3 * head_ms) in lines["sum of all parts"]
    assert "The point's latency is the mean over the samples" in text
    assert "without early exits p50" in text and "\nall " not in text and "whole network" not in text
    assert "exits 1, 3, final by margin, on 40 validation images" in lines["compared for"], "not the point shown"
    assert "accuracy there (validation)" in text
    older = dataclasses.replace(record, latency=dataclasses.replace(latency, check=LatencyCheck(0.5, 0.51)))
    assert "one exit rule of this trial" in text_of(trial_view(fake_study(), older), 120)


def test_a_trial_is_shown_in_every_state():
    records = fake_records(1)
    texts = [text_of(trial_view(fake_study(), record)) for record in records]
    assert "12 of 30 points" in texts[0] and "(within 10%)" in texts[0]
    assert "318 k parameters exceed" in texts[3] and "frontier" not in texts[3]
    bare = dataclasses.replace(records[-1], cost=None, latency=None)
    assert "candidate" in text_of(trial_view(fake_study(), bare))


def test_a_latency_that_does_not_add_up_is_pointed_out():
    record = fake_record(0)
    wrong = dataclasses.replace(record.latency, check=LatencyCheck(0.5, 0.6))
    assert "-16.7 % (more than 10%" in text_of(trial_view(fake_study(), dataclasses.replace(record, latency=wrong)))


@pytest.mark.parametrize("width", [80, 160])
def test_a_latency_in_doubt_is_marked_in_every_table(width):
    study, records = fake_study(), [doubtful(fake_record(0)), *fake_records()[1:]]
    front = study_front(study, records)
    marked = [entry for entry in front if entry.record.number == 0]
    note = "~ latency in doubt (trial 0: additive and end-to-end latency differ by 25 %)"
    texts = {
        "front": text_of(front_view(study, records, front), width),
        "trials": text_of(trials_view(study, records), width),
        "show": text_of(point_view(study, marked[0]), width),
        "show --trial": text_of(trial_view(study, records[0]), width),
    }
    for name in ("front", "trials"):
        assert note in texts[name] and "--test" not in texts[name], "it would read the test split"
    assert texts["trials"].count(" ~") == 1, "one trial, before its latency"
    assert texts["front"].count(" ~") == 2 * len(marked), "latency and times the reference"
    for name in ("show", "show --trial"):
        assert "in doubt" in texts[name] and "~ additive and end-to-end latency differ by 25 %" in texts[name], name
    assert f"~{units.milliseconds(marked[0].latency.value)}" in texts["show"]
    quiet = text_of(front_view(study, fake_records(), study_front(study, fake_records())), width)
    assert "~" not in quiet and "doubt" not in quiet


def test_studies_and_spaces():
    text = text_of(studies_view({"digits": [fake_study()]}))
    assert "digits: Handwritten digits" in text and "300 k parameters" in text and "12 trials" in text
    assert "study" not in text
    both = text_of(studies_view({"both": [fake_study(name="both-a"), fake_study(name="both-b", epochs=7)]}))
    assert both.count("both: Handwritten digits") == 1
    assert "both-a" in both and "both-b" in both and "7 epochs" in both
    assert "ResNets under [a] cap" in text_of(spaces_view({"limited_resnet": "ResNets under [a] cap"}))
    assert "No studies" in text_of(studies_view({})) and "No spaces" in text_of(spaces_view({}))
