"""What of a stored definition is another study today, and what is the same one after an update of searchlab."""

import pytest
from tiny import tiny_study

from searchlab.schema import KEY, versioned
from searchlab.search.attributes import upgraded_to
from searchlab.search.definition import DEFINED, Definition
from searchlab.search.runs import stored
from searchlab.search.storage import open_storage
from searchlab.search.store import StudyStore
from searchlab.serialization import to_plain
from searchlab.study import RunOptions

OLD = """from searchlab.architecture import ResNet
from searchlab.candidate import (
    Candidate,
    Exit,
)

def space(choose):
    return Candidate(ResNet((1,), 4))
"""
NEW = """from searchlab import Candidate, Exit, ResNet

def space(choose):
    return Candidate(ResNet((1,), 4))
"""


def definition(space: str = "mine", text: str = OLD, **fields) -> Definition:
    study = tiny_study(space=space, **fields)
    return Definition(study, study, text)


@pytest.mark.parametrize("now", [definition(text=NEW), definition("papers_mine"), definition("other", NEW)])
def test_a_space_that_was_moved_or_imports_from_elsewhere_in_searchlab_is_the_same(now):
    assert definition().changes(now) == []


def test_another_space_is_a_change_and_its_name_is_shown():
    lines = definition().changes(definition("other", NEW.replace("4", "8")))
    assert '-space = "mine"' in lines and '+space = "other"' in lines
    assert "-    return Candidate(ResNet((1,), 4))" in lines


def test_an_import_from_the_users_own_files_is_a_change():
    assert definition(text="from mine import WIDTH\n").changes(definition(text="from yours import WIDTH\n"))


def test_a_text_that_does_not_parse_is_compared_as_it_stands():
    assert definition(text="def (").changes(definition(text="def (")) == []
    assert definition(text="def (").changes(definition(text="def [")) != []


def test_a_definition_with_the_field_table_of_earlier_versions_opens_as_a_study_of_a_paper(tmp_path):
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    store = StudyStore.create(definition(paper="paper_mine"), open_storage(url, create=True), url)
    old = {key: value for key, value in store.optuna.user_attrs[DEFINED].items() if key != KEY}
    for name in ("study", "written"):
        old[name] = {"table" if key == "paper" else key: value for key, value in old[name].items()}
    store.optuna.set_user_attr(DEFINED, old)
    known = StudyStore.load(store.optuna.study_name, open_storage(url, create=False), url).definition
    assert (known.study.paper, known.written.paper) == ("paper_mine", "paper_mine")
    (listed,) = stored(RunOptions(output=tmp_path)).studies
    assert listed.name == store.optuna.study_name


def test_an_upgrade_returns_damaged_data_unchanged():
    assert upgraded_to(Definition, [1], "") == [1]
    assert upgraded_to(Definition, {"study": None}, "") == {"study": None}
    assert upgraded_to(Definition, versioned(to_plain(definition())), "") == to_plain(definition())
