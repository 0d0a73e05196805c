import dataclasses
import json

import pytest
from fake_records import SAMPLES, doubtful, fake_point, fake_record, fake_records, fake_study

from searchlab.front.points import study_front
from searchlab.record import Epoch
from searchlab.report.frames import front_frame, trials_frame, write_csv
from searchlab.report.payloads import (
    exit_accuracies,
    front_payload,
    show_point_payload,
    spaces_payload,
    studies_payload,
    trial_payload,
    trial_row,
    trials_payload,
)

ESTIMATE = {"value", "low", "high"}


def strict(payload):
    """Through JSON and back, infinities and NaN refused."""
    return json.loads(json.dumps(payload, allow_nan=False))


def test_front_payload_has_the_promised_shape():
    study, records = fake_study(), fake_records()
    points = study_front(study, records)
    payload = strict(front_payload(study, records, points))
    assert payload["study"] == "digits"
    assert payload["objectives"] == ["accuracy", "latency_ms"]
    assert 0 < payload["hypervolume"] < 1
    assert payload["machine"]["name"] == "AMD EPYC 7763"
    assert payload["trials"] == {"complete": 9, "stopped": 2, "infeasible": 1, "failed": 1}
    assert len(payload["points"]) == len(points)
    for plain, entry in zip(payload["points"], points, strict=True):
        assert set(plain["accuracy"]) == set(plain["latency_ms"]) == set(plain["times_reference"]) == ESTIMATE
        assert plain["accuracy"]["low"] <= plain["accuracy"]["value"] <= plain["accuracy"]["high"]
        assert plain["test_accuracy"] is None
        assert plain["trial"] == entry.record.number
        assert (plain["macs"], plain["params"]) == (entry.point.macs, entry.point.params)
        assert plain["exits"] == list(entry.point.rule.exits)
        assert len(plain["shares"]) == len(plain["cuts"]) == len(plain["thresholds"]) + 1


def test_a_front_without_latency_says_null():
    study, records = fake_study("accuracy", "macs"), fake_records(machine=None)
    payload = strict(front_payload(study, records, study_front(study, records)))
    assert payload["machine"] is None
    assert payload["points"][0]["latency_ms"] is None
    assert payload["points"][0]["times_reference"] is None


def test_an_empty_front_is_a_payload_too():
    payload = strict(front_payload(fake_study(), [], []))
    assert (payload["points"], payload["hypervolume"], payload["trials"]) == ([], 0.0, {})


def test_test_accuracy_and_thresholds_that_nothing_reaches():
    point = fake_point(330, 1e6, 1000, 0.4, exits=(0, 1, 2), thresholds=(float("inf"), 0.5))
    record = fake_record(0, [point])
    test = dataclasses.replace(point, correct=300)
    points = study_front(fake_study(), [record], tests={(0, point.rule): test})
    plain = strict(show_point_payload(fake_study(), points[0]))
    assert plain["test_accuracy"]["value"] == pytest.approx(300 / SAMPLES)
    assert plain["thresholds"] == [None, 0.5]
    assert plain["cuts"] == ["1", "3", "final"]
    assert len(plain["cost"]["stages"]) == 6


def test_accuracy_per_exit_is_over_those_that_left_there():
    point = fake_point(300, 1e6, 1000, exits=(0, 2), thresholds=(0.5,))
    left = dataclasses.replace(point, shares=(0.25, 0.75), correct_per_exit=(90, 210))
    assert [e.value for e in exit_accuracies(left)] == pytest.approx([1.0, 210 / 270])
    nobody = dataclasses.replace(point, shares=(0.0, 1.0), correct_per_exit=(0, 300))
    assert exit_accuracies(nobody)[0] is None


def test_a_trials_costs_are_those_of_the_point_whose_accuracy_is_shown():
    cheap, best = fake_point(300, 1e6, 1000, 0.2), fake_point(350, 3e6, 3000, 0.4)
    record = fake_record(0, [cheap, best])
    row = strict(trial_row(record))
    assert row["accuracy"]["value"] == best.accuracy
    assert (row["macs"], row["params"], row["latency_ms"]["value"]) == (best.macs, best.params, best.latency_ms)
    whole = (row["network_macs"], row["network_params"], row["network_latency_ms"]["value"])
    assert whole == (record.cost.macs, record.cost.params, record.latency.whole.p50) != (3e6, 3000, 0.4)
    untrained = strict(trial_row(fake_record(0, state="infeasible")))
    assert [untrained[name] for name in ("accuracy", "latency_ms", "macs", "params")] == [None] * 4
    assert untrained["network_macs"] == record.cost.macs


def test_no_score_is_named_where_one_exit_takes_everyone():
    alone, both = fake_point(350, 3e6, 3000, 0.4, exits=(2,), thresholds=()), fake_point(300, 1e6, 1000, 0.2)
    study, record = fake_study(), fake_record(0, [both, alone])
    points = study_front(study, [record])
    assert [point["score"] for point in strict(front_payload(study, [record], points))["points"]] == [None, "margin"]
    assert [row["score"] for row in strict(trial_payload(study, record))["record"]["frontier"]] == ["margin", None]
    assert front_frame(points)["score"].isna().tolist() == [True, False]


def test_trial_payloads_are_strict_json():
    study, records = fake_study(), fake_records()
    payload = strict(trials_payload(study, records))
    assert [row["trial"] for row in payload["trials"]] == list(range(13))
    assert payload["trials"][-1]["reason"].startswith("[Errno 28]")
    diverged = fake_record(3, state="failed", machine=None)
    diverged = dataclasses.replace(diverged, curve=(Epoch(0, float("nan"), 0.1),))
    assert strict(trial_payload(study, diverged))["record"]["curve"][0]["loss"] is None
    assert len(strict(trial_payload(study, records[0]))["record"]["frontier"]) == 30


def test_studies_and_spaces():
    studies = {"b": [fake_study(name="b")], "a": [fake_study(name="a-x"), fake_study(name="a-y")]}
    found = strict(studies_payload(studies))["studies"]
    assert [(each["file"], each["name"]) for each in found] == [("a", "a-x"), ("a", "a-y"), ("b", "b")]
    assert spaces_payload({"x": "y"}) == {"spaces": [{"name": "x", "description": "y"}]}


def test_frames_have_one_row_a_trial_and_one_a_point():
    study, records = fake_study(), fake_records()
    trials, points = trials_frame(records[::-1]), study_front(study, records)
    front = front_frame(points)
    assert list(trials["trial"]) == list(range(13))
    assert trials["accuracy"].notna().sum() == 9
    assert trials.loc[0, "accuracy"] == max(point.accuracy for point in records[0].frontier.points)
    assert len(front) == len(points)
    assert (front["accuracy_low"] <= front["accuracy"]).all() and (front["accuracy"] <= front["accuracy_high"]).all()
    assert list(trials_frame([]).columns) == list(trials.columns)


def test_a_latency_in_doubt_is_marked_in_json_and_csv(tmp_path):
    study, records = fake_study(), [doubtful(fake_record(0)), *fake_records()[1:]]
    points = study_front(study, records)
    doubts = ["additive and end-to-end latency differ by 25 %" if p.record.number == 0 else None for p in points]
    assert any(doubts) and not all(doubts)
    assert [point["latency_doubt"] for point in strict(front_payload(study, records, points))["points"]] == doubts
    trials = strict(trials_payload(study, records))["trials"]
    assert [trial["trial"] for trial in trials if trial["latency_doubt"]] == [0]
    write_csv(tmp_path / "front.csv", front_frame(points))
    assert (tmp_path / "front.csv").read_text().count("latency differ by 25 %") == sum(map(bool, doubts))
    assert trials_frame(records)["latency_doubt"].notna().sum() == 1


def test_every_latency_of_a_table_for_programs_names_the_engine_that_it_was_measured_in():
    study, records = fake_study(), fake_records(3)
    measured = [record for record in records if record.latency]
    records = [*measured, dataclasses.replace(measured[0], number=99, state="failed", latency=None, frontier=None)]
    points = study_front(study, records)
    assert {point["engine"] for point in front_payload(study, records, points)["points"]} == {"torch 2.15.0"}
    assert set(front_frame(points)["engine"]) == {"torch 2.15.0"}
    assert trials_frame(records)["engine"].isna().sum() == 1
