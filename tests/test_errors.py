import pickle

import pytest
from pydantic import ValidationError

from searchlab.architecture import ResNet
from searchlab.candidate import Head, Training
from searchlab.errors import RunError, TrialFailure, UserError, from_validation, line_of, reason_of, unknown
from searchlab.study import Study


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("cannot-write", "the disk is full"), "the disk is full"),
        (UserError("invalid-field", "is no number", where="--cap", value="x"), "--cap: is no number: 'x'"),
        (UserError("invalid-field", "is too small", value=0, allowed="at least 1"), "is too small: 0 (at least 1)"),
        (UserError("invalid-field", "two\n  lines", where="a.py", allowed="one\tonly"), "a.py: two lines (one only)"),
    ],
)
def test_a_user_error_is_one_line_with_what_is_known(error, line):
    assert str(error) == line


def test_a_user_error_keeps_its_parts():
    error = UserError("cannot-build", "what", where="where", value=3, allowed="allowed")
    assert parts_of(error) == ("cannot-build", "what", "where", 3, "allowed")


def parts_of(error):
    return (error.code, error.what, error.where, error.value, error.allowed)


@pytest.mark.parametrize("kind", [UserError, RunError])
def test_an_error_is_the_same_in_another_process(kind):
    error = kind("cannot-build", "what", where="where", value=3, allowed="allowed")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and parts_of(again) == parts_of(error) and str(again) == str(error)


def test_a_failure_of_a_trial_is_the_same_in_another_process():
    again = pickle.loads(pickle.dumps(TrialFailure("training-diverged", "the loss is nan")))
    assert (again.code, str(again)) == ("training-diverged", "the loss is nan")


def test_an_error_at_another_place_is_the_same_fault():
    error = RunError("cannot-build", "what", where="here", value=3, allowed="allowed")
    assert parts_of(error.at("there")) == ("cannot-build", "what", "there", 3, "allowed")
    assert parts_of(error.at("there", 4)) == ("cannot-build", "what", "there", 4, "allowed")
    assert type(error.at("there")) is RunError


def test_a_code_that_is_not_registered_is_our_own_fault():
    for kind in (UserError, TrialFailure):
        with pytest.raises(AssertionError, match="made-up"):
            kind("made-up", "what")


def test_the_code_of_an_unknown_name_is_that_of_its_kind():
    assert unknown("early stopping rule", "x", []).code == "unknown-early-stopping-rule"
    assert unknown("study or space", "x", []).code == "unknown-study"


def test_an_unknown_name_lists_the_known_ones_in_order():
    error = unknown("sampler", "tpee", {"tpe": 1, "gp": 2}, where="Study.sampler")
    assert str(error) == "Study.sampler: unknown sampler: 'tpee' (did you mean 'tpe'? known: gp, tpe)"


@pytest.mark.parametrize(
    ("value", "suggests"),
    [("digts", "did you mean 'digits'? "), ("DIGITS", "did you mean 'digits'? "), ("nothing like it", ""), ("", "")],
)
def test_a_misspelt_name_is_answered_with_the_close_one(value, suggests):
    assert str(unknown("study", value, ["digits", "cifar10"])).endswith(f"({suggests}known: cifar10, digits)")


def test_an_unknown_name_without_known_names_lists_none():
    assert str(unknown("study", "x", [])) == "unknown study: 'x' (known: none)"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Study("s", "d", epoch=3), "unknown field Study.epoch: 3 (did you mean 'epochs'?)"),
        (lambda: Training(learn_rate=1), "unknown field Training.learn_rate: 1 (did you mean"),
        (lambda: ResNet((1,), 8, growht=2), "unknown field ResNet.growht: 2 (did you mean 'g"),
        (lambda: ResNet((1,), 8, colour=2), "unknown field ResNet.colour: 2"),
    ],
)  # fmt: skip
def test_a_misspelt_field_is_answered_with_the_close_one(make, says):
    assert complaint(make).startswith(f"a.py: {says}")


def test_the_line_of_an_error_is_the_last_one_in_the_users_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def f(g):\n    return g()\n")
    names = {}
    exec(compile(file.read_text(), str(file), "exec"), names)
    with pytest.raises(ZeroDivisionError) as caught:
        names["f"](lambda: 1 / 0)
    assert line_of(caught.value, file) == ":2"
    assert line_of(caught.value, tmp_path / "other.py") == ""


def complaint(make):
    with pytest.raises(ValidationError) as caught:
        make()
    return str(from_validation(caught.value, "a.py"))


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Head(pool=0), "a.py: invalid Head.pool: 0 (must be greater than or equal to 1)"),
        (lambda: Head(1, (8, 0)), "a.py: invalid Head.hidden.1: 0 (must be greater than or equal to 1)"),
        (lambda: ResNet((1,), 8, 2.0, 4), "a.py: invalid ResNet.first_kernel: 4 (must be 1, 3, 5 or 7)"),
        (lambda: Study("s"), "a.py: missing field Study.data"),
        (
            lambda: Study("s", "d", epoch=3),
            "a.py: unknown field Study.epoch: 3 (did you mean 'epochs'?)",
        ),
        (
            lambda: Study("s", "d", epochs=0, trials=0),
            "a.py: invalid Study.epochs: 0 (must be greater than or equal to 1; and 1 more)",
        ),
        (
            lambda: Study("s", "d", objectives=()),
            "a.py: invalid Study.objectives: () (Tuple should have at least 2",
        ),
        (lambda: Study("s", "d", rungs=(3, 2)), "a.py: invalid Study (rungs must be increasing, not [3, 2])"),
    ],
)
def test_a_nouns_complaint_names_field_value_and_what_is_allowed(make, line):
    assert complaint(make).startswith(line)


def raised(error):
    try:
        raise error
    except Exception as caught:
        return caught


def test_the_reason_of_a_failure_is_one_line_without_a_folder_of_this_machine():
    line = reason_of(raised(ValueError("two\n  lines")))
    assert line.startswith("ValueError: two lines (") and line.endswith(".py:" + line.rpartition(":")[2])
    assert "(/" not in line and "test_errors.py:" in line
    assert reason_of(KeyError(3)) == "KeyError: 3" and reason_of(AssertionError()) == "AssertionError: no message"


@pytest.mark.parametrize(
    "error",
    [TrialFailure("training-diverged", "the training diverged"), UserError("invalid-field", "too small", value=0)],
)
def test_a_failure_that_was_foreseen_needs_no_place(error):
    assert reason_of(raised(error)) == str(error)
