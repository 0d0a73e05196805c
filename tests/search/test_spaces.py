from dataclasses import replace

import optuna
import pytest
from raises import raises_code
from tiny import IMAGES, tiny_candidate, tiny_space, tiny_study

from searchlab.architecture import ResNet
from searchlab.candidate import Candidate, Exit, Head
from searchlab.limits import Limits
from searchlab.model.cost import network_cost
from searchlab.model.fit import fit
from searchlab.search import spaces
from searchlab.search.catalog import find, load_space
from searchlab.search.spaces import SAMPLED, check_heads, check_limits, enqueued_candidates, propose


def first_trial():
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()


def test_a_space_is_told_images_and_limits_and_suggests_through_optuna():
    seen = []

    def space(choose):
        seen.append((choose.images, choose.limits))
        width = choose.suggest_int("width", 2, 8, step=2)
        return tiny_candidate(width, learning_rate=choose.suggest_categorical("rate", [0.1, 0.2]))

    trial, study = first_trial(), tiny_study(max_params=5000, max_macs=70_000)
    candidate = propose(space, trial, IMAGES, study)
    assert seen == [(IMAGES, Limits(5000, 70_000))]
    assert trial.params == {"width": candidate.architecture.width, "rate": candidate.training.learning_rate}


@pytest.mark.parametrize("fixed", [{"max_params": 20_000}, {"max_macs": 300_000}, {}], ids=str)
def test_a_space_fits_a_share_of_the_limits_without_naming_them(fixed):
    study, found = tiny_study(**fixed), []

    def space(choose):
        whole, half = (choose.fit(tiny_candidate(), share) for share in (1.0, 0.5))
        assert whole == choose.fit(tiny_candidate()) == fit(tiny_candidate(), choose.images, study.limits)
        found.append((network_cost(whole, IMAGES), network_cost(half, IMAGES)))
        return choose.fit(tiny_candidate(), limits=Limits(max_params=9000), multiple=4)

    assert network_cost(propose(space, first_trial(), IMAGES, study), IMAGES).params <= 9000
    whole, half = found[0]
    if not fixed:
        assert whole == half == network_cost(tiny_candidate(), IMAGES), "without limits nothing is fitted"
        return
    ((name, cap),) = fixed.items()
    of_whole, of_half = (getattr(cost, name.removeprefix("max_")) for cost in (whole, half))
    assert 0.7 * cap < of_whole <= cap and 0.35 * cap < of_half <= cap / 2


@pytest.mark.parametrize(
    ("space", "refused"),
    [
        (lambda choose: 1 / 0, raises_code("user-code-raised", mentions="ZeroDivisionError: division by zero")),
        (lambda choose: choose.suggest_int("width", 8, 2), raises_code("user-code-raised", mentions="ValueError")),
        (lambda choose: choose.suggest_words("width"), raises_code("user-code-raised", mentions="AttributeError")),
        (
            lambda choose: choose.fit(tiny_candidate(), share=1.5),
            raises_code("invalid-field", value=1.5, mentions="from 0 to 1"),
        ),
        (lambda choose: {"width": 3}, raises_code("wrong-return-type", where="space tiny", value="dict")),
        (
            lambda choose: Candidate(ResNet((1,), width=0)),
            raises_code("invalid-field", value=0, mentions="ResNet.width"),
        ),
        (lambda choose: Candidate(ResNet((1,), 4), (Exit(7),)), raises_code("invalid-field", mentions="exit at cut 7")),
    ],
)
def test_a_space_that_goes_wrong_is_named_in_one_line(space, refused):
    with refused as raised:
        propose(space, first_trial(), IMAGES, tiny_study())
    assert raised.value.where.startswith("space tiny")


def test_an_exception_in_a_space_file_is_named_with_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces/mine.py").write_text("def half(x):\n    return x // 0\n\ndef space(choose): half(1)\n")
    space = load_space(find("space", "mine"))
    with raises_code("user-code-raised", where="space tiny (spaces/mine.py:2)", mentions="ZeroDivisionError"):
        propose(space, first_trial(), IMAGES, tiny_study())


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (
            (1, 3),
            {"low": 1, "high": 5},
            "a whole number from 1 to 3; then a whole number from 1 to 5: give",
        ),
        ((1, 8), {"low": 1, "high": 8, "step": 2}, "then a whole number from 1 to 8 in steps of 2"),
        ((1, 8), {"low": 1, "high": 8, "log": True}, "then a whole number from 1 to 8, logarithmically"),
    ],
)
def test_one_name_for_two_ranges_is_refused_with_both(first, second, says):
    def space(choose):
        choose.suggest_int("width", *first)
        choose.suggest_int("width", **second)
        return tiny_candidate()

    with raises_code("duplicate-name", value="width", mentions=says) as raised:
        propose(space, first_trial(), IMAGES, tiny_study())
    assert "test_spaces.py:" in raised.value.where, "where it was asked for again"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda choose: choose.suggest_int("x", 1, 3), lambda choose: choose.suggest_float("x", 1, 3)),
        (lambda choose: choose.suggest_float("x", 0.1, 1), lambda choose: choose.suggest_float("x", 0.1, 1, step=0.1)),
        (lambda choose: choose.suggest_categorical("x", "ab"), lambda choose: choose.suggest_categorical("x", "abc")),
    ],
)
def test_one_name_for_two_kinds_is_refused(first, second):
    with raises_code("duplicate-name", value="x"):
        propose(lambda choose: (first(choose), second(choose)), first_trial(), IMAGES, tiny_study())


def test_a_name_may_be_asked_for_again_as_it_was():
    def space(choose):
        width = choose.suggest_int("width", 2, 8)
        assert choose.suggest_int("width", 2, 8) == width
        return tiny_candidate(width)

    assert propose(space, first_trial(), IMAGES, tiny_study())


@pytest.mark.parametrize(("field", "value", "close"), [("regime", "join", "joint"), ("schedule", "cosin", "cosine")])
def test_names_in_a_training_are_checked_before_a_trial_begins(field, value, close):
    with raises_code(
        f"unknown-{field}", value=value, mentions=[f"Training.{field}", f"did you mean '{close}'? known: "]
    ):
        propose(lambda choose: tiny_candidate(4, **{field: value}), first_trial(), IMAGES, tiny_study())


@pytest.mark.parametrize("limit", ["params", "macs"])
def test_limits_that_no_candidate_holds_are_refused_with_the_least_there_was(limit):
    smallest = getattr(network_cost(tiny_candidate(2), IMAGES), limit)
    check_limits(tiny_space, IMAGES, tiny_study(**{f"max_{limit}": smallest}))
    mentions = ["space tiny", f"max_{limit}", f"{SAMPLED} sampled", f"{smallest:,}"]
    with raises_code("limits-too-low", where="study tiny", value=smallest - 1, mentions=mentions):
        check_limits(tiny_space, IMAGES, tiny_study(**{f"max_{limit}": smallest - 1}))


def test_two_limits_that_exclude_each_other_are_both_named():
    """Few parameters only with many MACs, few MACs only with many parameters."""

    def space(choose):
        if choose.suggest_categorical("wide", [False, True]):
            return Candidate(ResNet((1,), 8, stem_stride=2))
        return Candidate(ResNet((1,), 6))

    small, wide = (network_cost(Candidate(r), IMAGES) for r in (ResNet((1,), 6), ResNet((1,), 8, stem_stride=2)))
    assert small.params < wide.params and small.macs > wide.macs
    study = tiny_study(max_params=small.params, max_macs=wide.macs)
    with raises_code("limits-too-low", where="study tiny", mentions=["max_params", "max_macs"]):
        check_limits(space, IMAGES, study)


def test_a_sample_that_does_not_fit_the_images_is_refused():
    def space(choose):
        return Candidate(ResNet((1, 1), 4), final=Head(pool=choose.suggest_int("pool", 5, 9)))

    with raises_code("pooling-too-large", where="space tiny, final head"):
        check_limits(space, IMAGES, tiny_study())


def test_a_sample_that_torch_cannot_build_is_refused_in_one_line(monkeypatch):
    def broken(candidate, images):
        raise ValueError("groups must divide\nchannels")

    monkeypatch.setattr(spaces, "network_cost", broken)
    with raises_code("cannot-build", where="space tiny", mentions="ValueError"):
        check_limits(tiny_space, IMAGES, tiny_study())


def test_enqueued_configurations_become_candidates_without_a_sampler():
    study = tiny_study(enqueue=({"width": 7, "rate": 0.1}, {"width": 2, "rate": 0.2}))
    found = enqueued_candidates(tiny_space, IMAGES, study)
    assert found == [tiny_candidate(7, learning_rate=0.1), tiny_candidate(2, learning_rate=0.2)]


def test_an_enqueued_configuration_that_leaves_something_open_is_named():
    known = {"width": 7, "rate": 0.1}
    study = tiny_study(enqueue={"whole": known, "half": {"width": 2}})
    with raises_code(
        "user-code-raised", where="study tiny, half", value={"width": 2}, mentions=["ValueError", "'rate'"]
    ):
        enqueued_candidates(tiny_space, IMAGES, study)


def test_a_head_that_breaks_the_cap_by_itself_is_named():
    def space(choose):
        choose.suggest_int("x", 0, 1)
        return Candidate(ResNet((1, 1), 4), (Exit(1, Head(hidden=(4096, 4096))),))

    study = tiny_study(max_params=1_000_000, enqueue={"Wide": {"x": 0}})
    with raises_code("limits-too-low", where="study tiny, Wide, head exit 1", value="16,842,762 parameters"):
        check_heads(space, IMAGES, study)
    check_heads(space, IMAGES, replace(study, max_params=20_000_000))
