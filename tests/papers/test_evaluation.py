import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up_paper import MADE_UP
from tiny import made_record, tiny_candidate, tiny_study

from searchlab.data.splits import limited
from searchlab.errors import UserError
from searchlab.exits.table import ExitTable
from searchlab.model.early_exit import build
from searchlab.papers.evaluation import (
    correct_in,
    evaluate_exits,
    evaluate_trial,
    load_findings,
    percent_right,
    percent_wrong,
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


def test_right_among_the_first_against_a_naive_twin():
    random = np.random.default_rng(0)
    # Few values, so that there are ties.
    logits_NKC = random.integers(0, 3, (60, 2, 5)).astype(np.float32)
    table = ExitTable(logits_NKC, random.integers(0, 5, 60))
    for first in (1, 3):
        naive = [0, 0]
        for logits_KC, label in zip(logits_NKC, table.labels_N, strict=True):
            for k, logits_C in enumerate(logits_KC):
                likeliest = sorted(range(5), key=lambda c, logits_C=logits_C: (-logits_C[c], c))[:first]
                naive[k] += label in likeliest
        assert correct_in(table, first) == naive
    assert correct_in(table, 1) == table.correct_NK.sum(axis=0).tolist()
    assert correct_in(table, 5) == [60, 60]


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


def test_findings_are_kept_beside_the_trial_and_found_again(subject):
    assert without_findings([subject.record]) == [subject.record]
    assert load_findings([subject.record]) == {}
    evaluate_trial(MADE_UP, subject)
    assert without_findings([subject.record]) == []
    assert load_findings([subject.record]) == {3: evaluate_exits(subject)}
    assert without_findings([replace(subject.record, state="failed"), replace(subject.record, directory="")]) == []


def test_an_evaluation_that_is_broken_off_leaves_nothing(subject, tmp_path):
    def breaks_off(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_trial(Paper("p", "P", lambda studies: (), breaks_off), subject)
    with pytest.raises(ValueError, match="not JSON compliant"):
        evaluate_trial(Paper("p", "P", lambda studies: (), lambda _: {"x": float("nan")}), subject)
    assert list(tmp_path.iterdir()) == []


def test_damaged_findings_are_named(subject, tmp_path):
    (tmp_path / "findings.json").write_text("{")
    with pytest.raises(UserError, match=r"findings\.json: not readable as JSON"):
        load_findings([subject.record])
