from pathlib import Path

import pytest
from pydantic import ValidationError

from searchlab.errors import from_validation
from searchlab.objective import OBJECTIVES, accuracy, latency_ms, macs, params
from searchlab.operating_point import OperatingPoint
from searchlab.serialization import from_plain, to_plain
from searchlab.study import BUDGET_FIELDS, RunOptions, Study, with_more


@pytest.mark.parametrize(
    ("field", "value", "named", "allowed"),
    [
        ("objectives", (accuracy,), "objectives", "at least 2"),
        ("objectives", (accuracy, latency_ms, macs, params), "objectives", "at most 3"),
        ("epochs", 0, "epochs", "1"),
        ("trials", 0, "trials", "1"),
        ("hours", 0.0, "hours", "greater than 0"),
        ("epochs_total", 0, "epochs_total", "1"),
        ("until_stalled", 0, "until_stalled", "1"),
        ("hours", float("inf"), "hours", "finite"),
        ("max_params", 0, "max_params", "1"),
        ("max_macs", -3, "max_macs", "1"),
        ("max_latency_ms", 0.0, "max_latency_ms", "greater than 0"),
        ("min_accuracy", 1.0, "min_accuracy", "less than 1"),
        ("min_accuracy", -0.1, "min_accuracy", "0"),
        ("rungs", (0, 3), "rungs.0", "1"),
        ("seed", -1, "seed", "0"),
        ("scores", (), "scores", "at least 1"),
        ("thresholds_per_exit", 1, "thresholds_per_exit", "2"),
        ("thresholds_per_exit", 1002, "thresholds_per_exit", "1001"),
    ],
)
def test_every_rule_names_field_value_and_what_is_allowed(field, value, named, allowed):
    with pytest.raises(ValidationError) as caught:
        Study("small_resnet", "digits", **{field: value})
    error = from_validation(caught.value, "studies/digits.py")
    assert error.code == "invalid-field" and error.what == f"invalid Study.{named}"
    assert error.value == (value[0] if named == "rungs.0" else value)
    assert allowed in error.allowed


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"objectives": (accuracy, accuracy)}, r"objectives must differ, not \['accuracy', 'accuracy'\]"),
        ({"rungs": (3, 2)}, r"rungs must be increasing, not \[3, 2\]"),
        ({"rungs": (3, 3)}, r"rungs must be increasing, not \[3, 3\]"),
        ({"epochs": 5, "rungs": (2, 5)}, r"rungs must lie before the last epoch \(5\), not \[2, 5\]"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(fields, said):
    with pytest.raises(ValidationError, match=said):
        Study("small_resnet", "digits", **fields)


def test_latency_is_measured_where_it_is_an_objective_or_a_limit():
    def study(**fields):
        return Study("small_resnet", "digits", **fields)

    assert study().measures_latency
    assert not study(objectives=(accuracy, macs)).measures_latency
    assert study(objectives=(accuracy, macs), max_latency_ms=2.0).measures_latency


def test_objectives_are_fields_of_an_operating_point():
    assert all(hasattr(OperatingPoint, name) or name in OperatingPoint.__annotations__ for name in OBJECTIVES)
    assert {name: objective.sign for name, objective in OBJECTIVES.items()} == {
        "accuracy": -1,
        "latency_ms": 1,
        "macs": 1,
        "params": 1,
    }


def test_budget_fields_are_fields():
    assert set(Study.__annotations__) >= BUDGET_FIELDS


def test_where_things_lie():
    options = RunOptions(output=Path("out"))
    assert options.storage_url == "sqlite:///out/studies.db"
    assert RunOptions(storage="postgresql://host/db").storage_url == "postgresql://host/db"
    assert options.trial_directory("digits", 12) == Path("out/digits/trial-00012")
    with pytest.raises(ValidationError, match="threads"):
        RunOptions(threads=0)


def test_configurations_are_enqueued_by_name_or_without_one():
    named = Study("s", "digits", enqueue={"narrow": {"width": 2}, "wide": {"width": 3}})
    assert [named.row_of(trial) for trial in (0, 1, 2)] == ["narrow", "wide", ""] and named.rows == ("narrow", "wide")
    plain = Study("s", "digits", enqueue=({"width": 2}, {"width": 3}))
    assert plain.enqueue == {"#1": {"width": 2}, "#2": {"width": 3}}
    assert plain.rows == () and plain.row_of(0) == ""
    assert from_plain(Study, to_plain(plain)) == plain
    with pytest.raises(ValidationError, match="enqueue"):
        Study("s", "digits", enqueue={"": {"width": 2}})


def test_configurations_without_names_are_counted_on():
    assert with_more({"#1": {"a": 1}}, {"#1": {"a": 2}}) == {"#1": {"a": 1}, "#2": {"a": 2}}
    assert with_more({"mine": {}}, {"#7": {"a": 2}, "yours": {}}) == {"mine": {}, "#2": {"a": 2}, "yours": {}}
