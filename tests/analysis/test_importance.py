import pytest
from optuna.storages import InMemoryStorage
from raises import raises_code
from tiny import IMAGES, Seen, made_record, run, tiny_candidate, tiny_study

from searchlab.analysis import importance
from searchlab.analysis.importance import FEWEST, importances
from searchlab.search.driver import Driver, Problem
from searchlab.search.store import Definition, StudyStore
from searchlab.study import RunOptions


@pytest.fixture(autouse=True)
def few_shuffles(monkeypatch):
    """Nine of them take their time."""
    monkeypatch.setattr(importance, "SHUFFLES", 2)


def searched(space, outcome, trials: int = 24) -> Driver:
    study = tiny_study(trials=trials)
    store = StudyStore.create(Definition(study, study, ""), InMemoryStorage(), "memory")
    driver = Driver(Problem(study, space, IMAGES), store, RunOptions(), "cpu", Seen())
    run(driver, outcome)
    return driver


def idle_space(choose):
    """One parameter decides the cost, another (through `by_rate`) the accuracy, a third and a fourth nothing."""
    choose.suggest_float("idle", 0, 1)
    choose.suggest_categorical("also_idle", ["a", "b"])
    width = choose.suggest_int("width", 2, 30)
    return tiny_candidate(width, learning_rate=choose.suggest_float("rate", 0.05, 0.2))


def by_rate(spec):
    return made_record(spec, correct=(round(400 * spec.candidate.training.learning_rate),))


@pytest.mark.slow
def test_the_parameter_that_decides_has_nearly_all_of_the_importance():
    driver = searched(idle_space, by_rate)
    found = importances(driver.store, driver.history)
    assert list(found.shares) == ["accuracy", "MACs", "hypervolume"]
    assert found.trials == 24 and found.conditional == []
    for shares in found.shares.values():
        assert shares.keys() == {"idle", "also_idle", "width", "rate"}
        assert sum(shares.values()) == pytest.approx(1)
    assert found.shares["accuracy"]["rate"] > 0.9 and found.shares["MACs"]["width"] > 0.9
    assert found.shares["hypervolume"]["rate"] + found.shares["hypervolume"]["width"] > 0.9


@pytest.mark.slow
def test_importances_are_of_what_trials_can_do_and_not_of_what_was_told():
    """What is told of a trial that adds nothing to the front is one of its points, whatever its best accuracy."""

    def outcome(spec):
        best = round(400 * spec.candidate.training.learning_rate)
        return made_record(spec, correct=(best // 3, best))

    driver = searched(idle_space, outcome)
    truth = importances(driver.store, driver.history)
    for trial in driver.store.trials():
        trial.values[:] = [1 / (2 + trial.params["idle"]), 1000 * trial.params["idle"]]
    assert importances(driver.store, driver.history) == truth
    assert truth.shares["accuracy"]["rate"] > 0.9 and truth.shares["MACs"]["width"] > 0.9


@pytest.mark.slow
def test_what_chance_gives_is_known_and_what_decides_is_beyond_it():
    driver = searched(idle_space, by_rate, 16)
    found = importances(driver.store, driver.history)
    assert found.chance.keys() == found.shares.keys()
    for label, decides in (("accuracy", "rate"), ("MACs", "width")):
        assert 0.25 < found.chance[label] < found.shares[label][decides], "the largest of four shares"


@pytest.mark.slow
def test_of_many_trials_some_are_looked_at_from_first_to_last(monkeypatch):
    monkeypatch.setattr(importance, "MOST", 12)
    driver = searched(idle_space, lambda spec: by_rate(spec) if spec.number % 2 == 0 else made_record(spec), 24)
    found = importances(driver.store, driver.history)
    assert found.trials == 12 and found.shares["accuracy"]["rate"] > 0.9


@pytest.mark.slow
def test_trials_that_are_not_complete_are_not_looked_at():
    whole = searched(idle_space, by_rate, 16)
    more = searched(idle_space, lambda spec: by_rate(spec) if spec.number < 16 else made_record(spec, "stopped"), 24)
    assert importances(more.store, more.history) == importances(whole.store, whole.history)


def test_a_proposal_that_was_tried_before_counts_once():
    def space(choose):
        choose.suggest_float("idle", 0, 1)
        return tiny_candidate(choose.suggest_int("width", 2, 14))

    driver = searched(space, made_record, 12)
    assert len(driver.store.trials()) > 12
    assert importances(driver.store, driver.history).trials == 12


@pytest.mark.slow
def test_a_parameter_that_some_trials_lack_is_named_and_left_out():
    def space(choose):
        width = choose.suggest_int("width", 2, 30)
        if width > 10:
            choose.suggest_float("only_wide", 0, 1)
        return tiny_candidate(width)

    driver = searched(space, lambda spec: made_record(spec, correct=(80,)))
    found = importances(driver.store, driver.history)
    assert found.conditional == ["only_wide"]
    # Accuracy is that of every trial, so nothing decides it.
    assert {label: set(shares) for label, shares in found.shares.items()} == {
        "MACs": {"width"},
        "hypervolume": {"width"},
    }


def test_too_few_trials_are_said_with_how_many_are_needed():
    driver = searched(idle_space, by_rate, FEWEST - 1)
    with raises_code("no-results", where="study tiny", value=9, mentions=["at least 10", "searchlab resume tiny"]):
        importances(driver.store, driver.history)


def test_where_nothing_can_be_said_that_is_said():
    def one_width(choose):
        return tiny_candidate(4, learning_rate=choose.suggest_float("rate", 0.05, 0.2))

    def none_in_common(choose):
        number = next(numbers)
        choose.suggest_categorical(f"kind{number}", ["only"])
        return tiny_candidate(4 + number)

    numbers = iter(range(100))
    for space in (one_width, none_in_common):
        driver = searched(space, lambda spec: made_record(spec, correct=(80,)), 12)
        with raises_code("no-results", where="study tiny", value=None):
            importances(driver.store, driver.history)
