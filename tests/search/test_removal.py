"""Forgetting a study: its own files and its trials go, nobody else's do, and a kill in between can be mended."""

import json
from dataclasses import replace

import optuna
import pytest
from raises import raises_code
from test_runs import damage

from searchlab.search import heartbeat, removal
from searchlab.search.driver_lock import only_driver
from searchlab.search.removal import planned, remove
from searchlab.search.runs import stored
from searchlab.search.storage import open_storage
from searchlab.search.store import StudyStore
from searchlab.search.study_folder import IDENTITY, claim, owner_of
from searchlab.serialization import to_plain
from searchlab.trial_files import RECORD


@pytest.fixture
def tiny(where, made):
    """A finished study with a folder for every trial, a plot and a replicate; the store, and its folder."""
    store, folder = made("tiny", 4), where.output / "tiny"
    for record in store.records():
        _written(where.trial_directory("tiny", record.number), record)
    companion = store.companion(create=True)
    trial = companion.optuna.ask()
    again = replace(store.records()[2], number=0, seed=77)
    companion.begin(trial, again.candidate, again.seed)
    _written(folder / "replicates" / "trial-00002-seed-1", again)
    (folder / "front.html").write_text("<html>")
    return store, folder


def _written(folder, record):
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"0" * 1000)
    (folder / RECORD).write_text(json.dumps(to_plain(record)))


@pytest.mark.slow
def test_a_study_goes_with_its_files_and_its_replicates(tiny, where):
    _, folder = tiny
    plan = planned("tiny", where)
    assert plan.megabytes > 0.005 and plan.kept == {}
    remove("tiny", where)
    assert not folder.exists() and where.output.is_dir()
    assert stored(where).exists and stored(where).studies == ()
    assert optuna.get_all_study_names(open_storage(where.storage_url, create=False)) == []
    with raises_code("unknown-study", value="tiny"):
        remove("tiny", where)


@pytest.mark.slow
def test_files_of_others_are_not_removed(tiny, where, tmp_path):
    store, folder = tiny
    (folder / "mine.txt").write_text("notes")
    other = folder / "trial-00003" / RECORD
    other.write_text(json.dumps(to_plain(replace(store.records()[3], seed=12345))))
    (folder / "trial-00009").mkdir()
    (folder / "trial-00009" / "thesis.tex").write_text("years of work")
    (tmp_path / "elsewhere").mkdir()
    (folder / "trial-00010").symlink_to(tmp_path / "elsewhere")
    why = {path.name: reason for path, reason in planned("tiny", where).kept.items()}
    assert why == {
        "mine.txt": "not written by searchlab",
        "trial-00003": "of another study",
        "trial-00009": "holds thesis.tex, which searchlab did not write",
        "trial-00010": "a link",
    }
    remove("tiny", where)
    assert sorted(path.name for path in folder.iterdir()) == sorted(why)
    assert (tmp_path / "elsewhere").is_dir() and other.is_file()


@pytest.mark.slow
def test_the_folder_of_a_study_of_the_same_name_and_seed_in_another_store_stays(tiny, where, tmp_path):
    """Both have the same candidates under the same numbers, so that records do not tell them apart."""
    store, folder = tiny
    claim(folder, store, store.records())
    elsewhere = replace(where, storage=f"sqlite:///{tmp_path / 'copy.db'}")
    definition = store.definition
    twin = StudyStore.create(definition, open_storage(elsewhere.storage_url, create=True), elsewhere.storage_url)
    twin.optuna.set_user_attr(IDENTITY, "another")
    for record in store.records():
        trial = twin.optuna.ask()
        twin.finish(trial, record, [0.5, 1e5])
    assert list(planned("tiny", elsewhere).kept) == [folder]
    remove("tiny", elsewhere)
    assert len(list(folder.glob("trial-*"))) == 4 and owner_of(folder) is not None
    assert planned("tiny", where).kept == {}


@pytest.mark.slow
def test_killed_between_its_halves_the_same_command_mends_it(tiny, where, monkeypatch):
    _, folder = tiny
    with monkeypatch.context() as patch:
        patch.setattr(removal.optuna, "delete_study", lambda **_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            remove("tiny", where)
    assert [path.name for path in folder.rglob("trial-*")] == [], "files go first: no files are left that none owns"
    assert [study.name for study in stored(where).studies] == ["tiny"]
    remove("tiny", where)
    assert stored(where).studies == () and not folder.exists()


def test_a_running_study_is_not_removed(tiny, where, monkeypatch):
    with only_driver("tiny", where), raises_code("study-running", where="study tiny"):
        remove("tiny", where)
    monkeypatch.setattr(heartbeat.os, "getpid", lambda: 1)
    with raises_code("study-running", where="study tiny"):
        remove("tiny", where)
    assert len(list(tiny[1].glob("trial-*"))) == 4


def test_a_study_of_optunas_own_is_refused(where, made):
    made("tiny", 4)
    optuna.create_study(storage=open_storage(where.storage_url, create=False), study_name="../theirs")
    with raises_code("foreign-study"):
        remove("../theirs", where)


def test_a_damaged_study_can_be_removed(tiny, where):
    store, folder = tiny
    damage(store, "trial_user_attributes")
    plan = remove("tiny", where)
    assert set(plan.kept.values()) == {"its trial in the store cannot be read"}
    assert stored(where).studies == () and (folder / "trial-00001").is_dir()
