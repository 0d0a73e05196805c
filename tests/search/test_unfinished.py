"""A study that was created and not defined: its process died in between."""

import optuna
import pytest
from optuna.storages import InMemoryStorage
from raises import raises_code
from tiny import tiny_study

from searchlab.search.definition import Definition
from searchlab.search.runs import stored
from searchlab.search.storage import open_storage
from searchlab.search.store import StudyStore, stored_study
from searchlab.study import RunOptions

STUDY = tiny_study()
DEFINITION = Definition(STUDY, STUDY, "x" * 200_000)
SAME, OTHER = ["maximize", "minimize"], ["minimize", "maximize", "minimize"]


class Killed(BaseException):
    """The process ends here."""


def killed_after(writes: int, storage, monkeypatch) -> None:
    """A long definition is written in parts: the process dies after so many."""
    left, write = [writes], optuna.Study.set_user_attr

    def dies(self, name, value):
        if not left[0]:
            raise Killed
        left[0] -= 1
        write(self, name, value)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "set_user_attr", dies)
        with pytest.raises(Killed):
            StudyStore.create(DEFINITION, storage, "memory")


@pytest.mark.parametrize("writes", [0, 1, 3])
def test_a_name_whose_process_died_before_the_definition_is_taken_over(writes, monkeypatch):
    storage = InMemoryStorage()
    killed_after(writes, storage, monkeypatch)
    with raises_code("study-not-started", where="memory", mentions=["'tiny'", "`searchlab run tiny` begins it"]):
        StudyStore.load("tiny", storage, "memory")
    StudyStore.create(DEFINITION, storage, "memory")
    assert StudyStore.load("tiny", storage, "memory").definition == DEFINITION


@pytest.mark.parametrize("directions", [SAME, OTHER])
def test_the_new_study_has_its_own_directions(directions):
    storage = InMemoryStorage()
    optuna.create_study(storage=storage, study_name="tiny", directions=directions)
    store = StudyStore.create(DEFINITION, storage, "memory")
    assert [direction.name.lower() for direction in store.optuna.directions] == SAME


def test_a_study_of_somebody_elses_is_left_alone():
    storage = InMemoryStorage()
    theirs = optuna.create_study(storage=storage, study_name="tiny", directions=SAME)
    theirs.set_user_attr("mine", 1)
    with raises_code("study-exists", mentions="'tiny'"):
        StudyStore.create(DEFINITION, storage, "memory")
    with raises_code("foreign-study", mentions="'tiny'"):
        StudyStore.discard("tiny", storage, "")
    assert theirs.user_attrs == {"mine": 1}


def test_a_smoke_run_takes_the_name_too():
    storage = InMemoryStorage()
    optuna.create_study(storage=storage, study_name="tiny", directions=OTHER)
    StudyStore.discard("tiny", storage, "memory")
    assert optuna.get_all_study_names(storage) == []


def test_the_study_meant_where_none_is_named_is_one_that_began(tmp_path):
    options = RunOptions(output=tmp_path)
    storage = open_storage(options.storage_url, create=True)
    optuna.create_study(storage=storage, study_name="a", directions=SAME)
    with raises_code("study-not-started", mentions="'a'"):
        stored_study(None, options)
    StudyStore.create(DEFINITION, storage, options.storage_url)
    assert stored_study(None, options).definition.study.name == "tiny"
    assert "not started: searchlab run a" in {each.detail for each in stored(options).studies}
