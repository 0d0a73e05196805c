import os
import sqlite3
import warnings
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState
from quick_part import quick_part
from raises import raises_code
from tiny import made_record, tiny_candidate, tiny_study

from searchlab import record as nouns
from searchlab.objective import OBJECTIVES
from searchlab.search import heartbeat
from searchlab.search import storage as storage_module
from searchlab.search import store as store_module
from searchlab.search.storage import open_storage, public
from searchlab.search.store import Definition, StudyStore, stored_study
from searchlab.serialization import to_plain
from searchlab.study import RunOptions, TrialSpec

STUDY = tiny_study()
DEFINITION = Definition(STUDY, STUDY, "def space(choose):\n    return 1\n", "/somewhere/tiny.py")


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'studies.db'}"


@pytest.fixture
def store(url):
    return StudyStore.create(DEFINITION, open_storage(url, create=True), url)


def reopened(store: StudyStore, name: str = "tiny") -> StudyStore:
    return StudyStore.load(name, open_storage(store.url, create=False), store.url)


def ask(store: StudyStore):
    store.optuna.sampler = RandomSampler(seed=0)
    return store.optuna.ask()


def spec(number: int) -> TrialSpec:
    return TrialSpec(number, tiny_candidate(3 + number), STUDY, seed=7)


# -- studies


def test_a_created_study_is_loaded(store):
    loaded = reopened(store)
    assert loaded.definition == DEFINITION
    assert loaded.records() == [] and loaded.looks() == []
    assert [d.name for d in loaded.optuna.directions] == ["MAXIMIZE", "MINIMIZE"]


def test_a_second_study_of_a_name_is_refused(store):
    with raises_code("study-exists", where=store.url, mentions=["'tiny'", "`searchlab resume tiny`"]):
        StudyStore.create(DEFINITION, open_storage(store.url, create=True), store.url)


def test_an_unknown_study_lists_the_known(store):
    with raises_code("unknown-study", value="nope", mentions="(known: tiny)"):
        reopened(store, "nope")


def test_a_study_that_searchlab_did_not_make(store):
    theirs = optuna.create_study(storage=store.optuna._storage, study_name="foreign", directions=["minimize"])
    theirs.ask()
    with raises_code("foreign-study", mentions="'foreign'"):
        reopened(store, "foreign")
    study = replace(STUDY, name="foreign")
    definition = replace(DEFINITION, study=study, written=study)
    with raises_code("study-exists", mentions="'foreign'"):
        StudyStore.create(definition, open_storage(store.url, create=True), store.url)


def test_without_a_name_the_study_begun_last_is_used(tmp_path):
    options = RunOptions(output=tmp_path)
    storage = open_storage(options.storage_url, create=True)
    with raises_code("store-empty"):
        stored_study(None, options)
    for name in ("b", "a", "c"):
        study = replace(STUDY, name=name)
        made = StudyStore.create(replace(DEFINITION, study=study, written=study), storage, options.storage_url)
        if name != "c":
            ask(made)
    assert stored_study(None, options).definition.study.name == "a"
    assert stored_study("b", options).definition.study.name == "b"


# -- definitions


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 3},
        {"objectives": (OBJECTIVES["accuracy"], OBJECTIVES["params"])},
        {"max_params": 100},
        {"enqueue": ({"width": 3},)},
    ],
)
def test_a_changed_study_is_a_diff_of_its_fields(change):
    (field,) = change
    changed = replace(DEFINITION, written=replace(STUDY, **change))
    lines = DEFINITION.changes(changed)
    assert [line[0] for line in lines if field in line] == ["-", "+"]
    assert sum(line.startswith(("-", "+")) for line in lines) == 4, "two for the headings"


def test_a_changed_space_is_a_diff_of_its_lines():
    changed = replace(DEFINITION, space_text="def space(choose):\n    return 2\n")
    assert {"-    return 1", "+    return 2"} <= set(DEFINITION.changes(changed))


@pytest.mark.parametrize(
    "same",
    [
        replace(DEFINITION, written=replace(STUDY, trials=900, hours=2.0, description="more of the same")),
        replace(DEFINITION, study=replace(STUDY, epochs=1)),
        replace(DEFINITION, path="/moved/tiny.py"),
    ],
)
def test_budgets_overrides_and_moved_files_are_no_change(same):
    assert DEFINITION.changes(same) == []


def test_a_definition_is_replaced(store):
    other = replace(DEFINITION, study=replace(STUDY, trials=99), space_text="other")
    store.redefine(other)
    assert reopened(store).definition == other


# -- trials


def test_records_survive_with_their_states_and_constraints(store, tmp_path):
    made = []
    for number, state in enumerate(("complete", "stopped", "failed", "infeasible")):
        record = replace(made_record(spec(number), state), directory=str(tmp_path / f"tiny/trial-{number:05d}"))
        if state == "infeasible":
            record = replace(record, excess={"params": 0.5, "macs": 0.25}, frontier=None)
        store.finish(ask(store), record, [0.5, 1e5] if state == "complete" else None)
        # A folder that no driver claimed has no id.
        made.append(replace(record, output=str(tmp_path)))
    loaded = reopened(store)
    assert loaded.records() == made
    trials = loaded.trials()
    assert [t.state for t in trials] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.PRUNED]
    assert [t.values for t in trials] == [[0.5, 1e5], None, None, None]
    assert [t.constraints for t in trials] == [{}, {}, {}, {"params": 0.5, "macs": 0.25}]
    assert [t.user_attrs["artefacts"] for t in trials] == [f"tiny/trial-{number:05d}" for number in range(4)]


def test_a_trial_that_was_begun_is_unfinished_and_known_as_running_or_interrupted(store, monkeypatch):
    monkeypatch.setattr(heartbeat, "UNSIGNED_S", 0.0)
    trial = ask(store)
    assert store.records() == []
    store.begin(trial, tiny_candidate(5), seed=11)
    loaded = reopened(store)
    (record,) = loaded.records()
    assert (record.state, record.candidate, record.seed) == ("interrupted", tiny_candidate(5), 11)
    with monkeypatch.context() as patch:
        patch.setattr(heartbeat, "UNSIGNED_S", 60.0)
        assert [each.state for each in loaded.records()] == ["running"]
    assert loaded.unfinished() == ([0], [])
    loaded.finish(loaded.again(0, RandomSampler(seed=0)), made_record(spec(0)), [0.5, 1e5])
    assert loaded.unfinished() == ([], [])


@pytest.mark.slow
def test_a_record_written_before_its_state_is_told_once_more_without_a_warning(store):
    """The driver died between the record and the state; constraints cannot be set twice."""
    record = replace(made_record(spec(0), "infeasible"), excess={"params": 0.5}, frontier=None)
    trial = ask(store)
    trial.set_constraint("params", 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.finish(reopened(store).again(0, RandomSampler()), record, None)
    assert reopened(store).trials()[0].constraints == {"params": 0.5}


def test_looks_add_up(store):
    looks = [nouns.TestLook(number, "2026-01-01T00:00:00+00:00", None, (), ()) for number in range(3)]
    store.add_looks(looks[:1])
    reopened(store).add_looks(looks[1:])
    assert reopened(store).looks() == looks


def wide_record(number: int, points: int = 2000) -> nouns.TrialRecord:
    record = made_record(spec(number))
    return replace(record, frontier=replace(record.frontier, points=record.frontier.points[:1] * points))


def longest_value(store) -> int:
    """Of the store's attributes, in bytes."""
    with sqlite3.connect(store.url.removeprefix("sqlite:///")) as file:
        tables = [f"{owner}_{kind}_attributes" for owner in ("trial", "study") for kind in ("user", "system")]
        lengths = [file.execute(f"SELECT max(length(CAST(value_json AS BLOB))) FROM {name}") for name in tables]
        return max(length.fetchone()[0] or 0 for length in lengths)


@pytest.mark.slow
def test_many_looks_and_wide_frontiers_fit_into_mysqls_text(store):
    record = wide_record(0)
    store.finish(ask(store), record, [0.5, 1e5])
    points = record.frontier.points
    looks = [nouns.TestLook(0, "2026-01-01T00:00:00+00:00", None, points, points) for _ in range(5)]
    store.add_looks(looks)
    store.redefine(replace(DEFINITION, space_text="# " + "a very long space\n" * 9000))
    assert longest_value(store) < 2**16
    again = reopened(store)
    assert again.looks() == looks and again.records() == [record]
    assert again.definition.space_text.count("long") == 9000


def test_looks_that_two_processes_keep_at_once_are_all_there(store, monkeypatch):
    looks = [nouns.TestLook(number, "2026-01-01T00:00:00+00:00", None, (), ()) for number in range(2)]
    other, name = reopened(store), store_module.uuid4

    def meanwhile():
        monkeypatch.setattr(store_module, "uuid4", name)
        other.add_looks(looks[1:])
        return name()

    monkeypatch.setattr(store_module, "uuid4", meanwhile)
    store.add_looks(looks[:1])
    assert sorted(seen.trial for seen in reopened(store).looks()) == [0, 1]


def test_the_list_of_looks_of_an_old_store_is_read_and_added_to(store):
    looks = [nouns.TestLook(number, "2026-01-01T00:00:00+00:00", None, (), ()) for number in range(3)]
    store.optuna.set_user_attr("test_looks", [to_plain(look) for look in looks[:2]])
    assert reopened(store).looks() == looks[:2]
    store.add_looks(looks[2:])
    assert reopened(store).looks() == looks


# -- damage


def test_a_damaged_record_names_its_trial(store):
    trial = ask(store)
    trial.set_user_attr("record", {"number": 0, "state": "finished"})
    with raises_code("store-damaged", where="trial 0, attribute 'record'"):
        reopened(store).records()


@pytest.mark.parametrize(
    ("name", "value"),
    [("record", {"number": 0, "state": "finished"}), ("record", 3), ("candidate", {"seed": 1}), ("candidate", None)],
)
def test_damaged_attributes_of_a_trial_are_named_and_the_others_can_be_read(store, name, value):
    store.finish(ask(store), made_record(spec(0)), [0.5, 1e5])
    ask(store).set_user_attr(name, value)
    with raises_code("store-damaged", where=f"trial 1, attribute '{name}'", mentions="restore the store") as raised:
        reopened(store).records()
    records, wrong = reopened(store).readable()
    assert [record.number for record in records] == [0] and [str(each) for each in wrong] == [str(raised.value)]


@pytest.mark.parametrize("stored", [{"study": {}}, 3, {"study": 1, "written": 2, "space_text": 3, "path": 4}])
def test_a_damaged_definition_names_its_study(store, stored):
    store.optuna.set_user_attr("searchlab", stored)
    with raises_code("store-damaged", where=f"{store.url}: study tiny, attribute 'searchlab'"):
        reopened(store).definition  # noqa: B018, reading it is what fails


def test_a_stored_point_with_more_right_than_samples_is_one_line(store):
    plain = to_plain(made_record(spec(0)))
    plain["frontier"]["points"][0]["correct"] = 101
    ask(store).set_user_attr("record", plain)
    with raises_code("store-damaged", where="trial 0, attribute 'record'", mentions="correct must be from 0 to 100"):
        reopened(store).records()


@pytest.mark.parametrize(
    ("table", "whose"), [("trial_user_attributes", "trial 1"), ("study_user_attributes", "study tiny")]
)
def test_a_value_that_is_no_json_is_named_with_its_trial(store, table, whose):
    store.begin(ask(store), tiny_candidate(), seed=1)
    store.begin(ask(store), tiny_candidate(), seed=1)
    with sqlite3.connect(store.url.removeprefix("sqlite:///")) as file:
        where = "trial_id = 2" if table.startswith("trial") else "key = 'searchlab'"
        file.execute(f"UPDATE {table} SET value_json = '{{\"half' WHERE {where}")
    name = "candidate" if table.startswith("trial") else "searchlab"
    with raises_code("store-damaged", where=f"{store.url}: {whose}, attribute '{name}'"):
        _ = (reopened(store).definition, reopened(store).records())


# -- what a storage may be


@pytest.mark.parametrize(("kind", "journal"), [("nfs4", "delete"), ("lustre", "delete"), ("ext4", "wal")])
def test_a_file_that_several_machines_share_has_no_write_ahead_log(tmp_path, monkeypatch, kind, journal):
    folder = tmp_path / "shared runs"
    mounts = tmp_path / "mounts"
    where = str(folder.resolve()).replace(" ", "\\040")
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nhost:/runs {where} {kind} rw 0 0\n")
    monkeypatch.setattr(storage_module, "_MOUNTS", mounts)
    url = f"sqlite:///{folder / 'below' / 'studies.db'}"
    StudyStore.create(DEFINITION, open_storage(url, create=True), url)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
        assert file.execute("PRAGMA journal_mode").fetchone() == (journal,)


def test_no_store(tmp_path):
    with raises_code("store-not-found", where=f"{tmp_path}/none.db", mentions="--output"):
        open_storage(f"sqlite:///{tmp_path}/none.db", create=False)
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("text", ["nonsense", "ftp://host/file", "", "sqlite:/x.db"])
def test_no_storage_url(text):
    with raises_code("invalid-storage-url", where="--storage", value=text):
        open_storage(text, create=True)


def test_a_database_whose_driver_is_not_installed():
    with raises_code("package-missing", where="--storage", mentions="pymysql") as raised:
        open_storage("mysql+pymysql://me:secret@nowhere/db", create=True)
    assert "secret" not in str(raised.value)


def test_passwords_are_not_shown():
    assert public("postgresql://me:secret@host:5432/db") == "postgresql://me:***@host:5432/db"
    assert public("sqlite:////home/me@work/a:b.db") == "sqlite:////home/me@work/a:b.db"


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "studies.db").write_text("not a database, however long it is " * 100)
    with raises_code("store-unusable", where=f"sqlite:///{tmp_path}/studies.db", mentions="not an SQLite file"):
        stored_study(None, RunOptions(output=tmp_path))


@pytest.mark.parametrize("kept", quick_part([0.3, 0.6, 0.9], [0.6]))
def test_a_truncated_database(store, tmp_path, kept):
    for number in range(8):
        store.finish(ask(store), made_record(spec(number)), [0.5, 1e5])
    store.optuna._storage.remove_session()
    file = tmp_path / "studies.db"
    os.truncate(file, int(file.stat().st_size * kept) // 4096 * 4096)
    with raises_code("store-unusable", mentions="sqlite3"):
        stored_study("tiny", RunOptions(output=tmp_path)).records()


def test_a_locked_database(store, monkeypatch):
    monkeypatch.setattr(storage_module, "WAITS_FOR_LOCK_S", 0.05)
    waiting = reopened(store)
    file = store.url.removeprefix("sqlite:///")
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with raises_code("store-unusable", mentions="locked"):
            waiting.redefine(replace(DEFINITION, space_text="another"))
        assert reopened(store).records() == [], "whoever only reads does not wait for a writer"
        other.execute("ROLLBACK")
    assert waiting.records() == []


def test_a_store_of_another_version_of_optuna(store):
    with sqlite3.connect(store.url.removeprefix("sqlite:///")) as file:
        file.execute("UPDATE alembic_version SET version_num = 'v9.9.9.a'")
    with raises_code("version-differs", where=store.url, mentions="optuna"):
        reopened(store)


@pytest.mark.parametrize("folder", ["/proc/nowhere", "file/below"])
def test_a_folder_that_cannot_be_made(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with raises_code("cannot-write", where=folder):
        open_storage(f"sqlite:///{folder}/studies.db", create=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_store(store, tmp_path):
    tmp_path.chmod(0o555)
    (tmp_path / "studies.db").chmod(0o444)
    try:
        with raises_code("store-read-only"):
            store.redefine(DEFINITION)
    finally:
        tmp_path.chmod(0o755)
