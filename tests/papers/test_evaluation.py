import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_up_paper import PAPER
from raises import raises_code
from tiny import made_record, tiny_candidate, tiny_study

from searchlab.data.splits import limited
from searchlab.model.early_exit import build
from searchlab.papers.evaluation import (
    evaluate_exits,
    evaluate_trial,
    gained_and_lost,
    load_findings,
    percent_right,
    percent_wrong,
    points_above,
    without_findings,
)
from searchlab.papers.paper import Paper, Subject
from searchlab.study import TrialSpec


@pytest.fixture
def subject(digits, tmp_path) -> Subject:
    torch.manual_seed(0)
    study, candidate = tiny_study(), tiny_candidate(4)
    record = replace(made_record(TrialSpec(3, candidate, study)), directory=str(tmp_path))
    network = build(candidate, digits.spec).eval()
    return Subject(study, record, network, limited(digits, 100), torch.device("cpu"), 1)


def test_the_shared_evaluation_reads_the_test_split_at_every_exit(subject):
    found = evaluate_exits(subject)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["samples"] == len(subject.dataset.test) and found["train_images"] == 100
    assert [exit["cut"] for exit in found["exits"]] == [0, 1, 2]
    assert all(0 <= exit["correct"] <= exit["correct_of_3"] <= found["samples"] for exit in found["exits"])
    assert (found["params"], found["macs"]) == (subject.record.cost.params, subject.record.cost.macs)
    assert found["megabytes"] == pytest.approx(4 * found["params"] / 1e6, rel=0.2)
    assert (found["train_seconds"], found["latency_ms"]) == (1.0, None)


def test_percents_with_their_intervals():
    found = {"samples": 200, "exits": [{"correct": 100, "correct_of_3": 150}, {"correct": 190, "correct_of_3": 198}]}
    right, wrong = percent_right(found), percent_wrong(found, 0, first=3)
    assert right.value == 95 and right.low < 95 < right.high < 100
    assert wrong.value == 25 and percent_wrong(found).value == 5
    assert percent_right(found, 0).low == pytest.approx(100 - percent_wrong(found, 0).high)


def test_points_above_a_baseline_against_a_naive_twin():
    random = np.random.default_rng(0)
    right_N, baseline_N = (random.random(4000) < share for share in (0.8, 0.6))
    difference_N = right_N.astype(float) - baseline_N
    found = points_above(*gained_and_lost(right_N, baseline_N), 4000)
    half = 1.959963984540054 * difference_N.std() / np.sqrt(4000)
    assert found.value == pytest.approx(100 * difference_N.mean())
    # Half an image more in every case is nothing among so many.
    assert (found.low, found.high) == pytest.approx(
        tuple(100 * (difference_N.mean() + side * half) for side in (-1, 1)), abs=0.03
    )


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_an_interval_of_points_holds_them_and_is_never_nothing(rights):
    right_N, baseline_N = np.asarray(rights).T
    found = points_above(*gained_and_lost(right_N, baseline_N), len(rights))
    assert found.value == pytest.approx(100 * (right_N.mean() - baseline_N.mean()))
    assert -100 <= found.low <= found.value <= found.high <= 100 and found.low < found.high
    back = points_above(*gained_and_lost(baseline_N, right_N), len(rights))
    assert (-back.value, -back.high, -back.low) == pytest.approx((found.value, found.low, found.high))


def test_the_interval_is_narrower_the_more_two_networks_agree():
    # Bonett and Price (2012): (26 - 11) / 102, and 1.96 standard errors of it.
    found = points_above(25, 10, 100)
    half = 1.959964 * np.sqrt((37 / 102 - (15 / 102) ** 2) / 102)
    assert (found.low, found.high) == pytest.approx((100 * (15 / 102 - half), 100 * (15 / 102 + half)))
    widths = [each.high - each.low for each in (points_above(k, k, 1000) for k in (0, 10, 100))]
    assert 0 < widths[0] < widths[1] < widths[2]


def test_findings_are_kept_beside_the_trial_and_found_again(subject):
    assert without_findings([subject.record]) == [subject.record]
    assert load_findings([subject.record]) == {}
    evaluate_trial(PAPER, subject)
    assert without_findings([subject.record]) == []
    assert load_findings([subject.record]) == {3: evaluate_exits(subject)}
    assert without_findings([replace(subject.record, state="failed"), replace(subject.record, directory="")]) == []


def test_an_evaluation_that_is_broken_off_leaves_nothing(subject, tmp_path):
    def breaks_off(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_trial(Paper("P", lambda studies: (), breaks_off), subject)
    with pytest.raises(ValueError, match="not JSON compliant"):
        evaluate_trial(Paper("P", lambda studies: (), lambda _: {"x": float("nan")}), subject)
    assert list(tmp_path.iterdir()) == []


def test_damaged_findings_are_named(subject, tmp_path):
    (tmp_path / "findings.json").write_text("{")
    with raises_code("artefact-unreadable", mentions="findings.json"):
        load_findings([subject.record])
