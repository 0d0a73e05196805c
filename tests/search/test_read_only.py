import os
import shutil
import sqlite3
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.samplers import RandomSampler
from raises import raises_code
from tiny import made_record, tiny_candidate, tiny_study

from searchlab.search.storage import check_writable, open_storage, sqlite_file
from searchlab.search.store import Definition, StudyStore, stored_names, stored_study
from searchlab.study import RunOptions, TrialSpec

STUDY = tiny_study()
DEFINITION = Definition(STUDY, STUDY, "", "")


@pytest.fixture
def shelf(monkeypatch):
    """A folder that every user can reach, as is the one for temporary files; pytest's own are for one."""
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def store(shelf):
    """Two finished trials, in use: SQLite's log and its index lie beside the file."""
    return filled(f"sqlite:///{shelf / 'studies.db'}")


def filled(url: str) -> StudyStore:
    store = StudyStore.create(DEFINITION, open_storage(url, create=True), url)
    for number in range(2):
        store.optuna.sampler = RandomSampler(seed=number)
        spec = TrialSpec(number, tiny_candidate(3 + number), STUDY, seed=7)
        trial = store.optuna.ask()
        store.begin(trial, spec.candidate, 7)
        store.finish(trial, made_record(spec), [0.5, 1e5])
    return store


def closed(store: StudyStore) -> None:
    store.storage.remove_session()
    store.storage.engine.dispose()


@contextmanager
def reading_only(folder: Path):
    """The folder and what is in it may only be read; as another user, where this one may write everywhere."""
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def numbers(shelf: Path) -> list[int]:
    return [record.number for record in stored_study("tiny", RunOptions(output=shelf)).records()]


def test_a_store_that_may_only_be_read_can_be_looked_at(store, shelf):
    closed(store)
    before = sorted(shelf.iterdir())
    with reading_only(shelf):
        assert numbers(shelf) == [0, 1]
        assert stored_names(RunOptions(output=shelf)) == ["tiny"]
        assert stored_study(None, RunOptions(output=shelf)).definition.study == STUDY
    assert sorted(shelf.iterdir()) == before


def test_what_is_in_the_log_of_a_store_that_is_in_use_is_seen(store, shelf):
    assert {path.name for path in shelf.iterdir()} == {"studies.db", "studies.db-wal", "studies.db-shm"}
    with reading_only(shelf):
        assert numbers(shelf) == [0, 1]


def test_a_log_without_its_index_is_read_all_the_same(store, shelf):
    kept = shelf / "kept"
    kept.mkdir()
    for end in ("", "-wal"):
        shutil.copyfile(f"{shelf}/studies.db{end}", kept / f"studies.db{end}")
    with reading_only(kept):
        assert numbers(kept) == [0, 1]
    assert {path.name for path in kept.iterdir()} == {"studies.db", "studies.db-wal"}


def test_nothing_is_made_beside_a_file_of_another_user_in_a_folder_for_all(store, shelf):
    closed(store)
    with reading_only(shelf):
        pass
    shelf.chmod(0o777)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        assert numbers(shelf) == [0, 1]
    finally:
        if root:
            os.seteuid(0)
    assert [path.name for path in shelf.iterdir()] == ["studies.db"]


def test_a_change_to_a_store_that_may_only_be_read_is_refused(store, shelf):
    closed(store)
    with reading_only(shelf):
        found = stored_study("tiny", RunOptions(output=shelf))
        for change in (
            lambda: found.redefine(replace(DEFINITION, path="elsewhere")),
            lambda: found.companion(create=True),
            lambda: check_writable(found.storage, found.url),
        ):
            with raises_code("store-read-only"):
                change()
    assert numbers(shelf) == [0, 1]
    check_writable(stored_study("tiny", RunOptions(output=shelf)).storage, store.url)


def test_a_damaged_store_that_may_only_be_read_is_one_line(shelf):
    (shelf / "studies.db").write_text("not a database, however long it is " * 100)
    with reading_only(shelf), raises_code("store-unusable"):
        numbers(shelf)


@pytest.mark.parametrize(("forbidden", "code"), [("studies.db", "store-unusable"), ("", "cannot-read")])
def test_a_store_that_may_not_even_be_read_is_one_line(store, shelf, forbidden, code):
    closed(store)
    (shelf / forbidden).chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with raises_code(code):
            numbers(shelf)
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize(
    "end", ["?timeout=3", "?mode=ro&uri=true", "?immutable=1&uri=true", "?check_same_thread=false"]
)
def test_a_storage_url_may_have_options(shelf, end):
    prefix = "file:" if "uri" in end else ""
    url = f"sqlite:///{prefix}{shelf / 'studies.db'}"
    closed(filled(f"sqlite:///{shelf / 'studies.db'}"))
    options = RunOptions(storage=url + end)
    assert stored_names(options) == ["tiny"]
    assert len(stored_study("tiny", options).records()) == 2
    assert [path.name for path in shelf.iterdir() if "?" in path.name] == []


def test_the_folder_of_a_store_whose_url_has_options_is_made(shelf):
    url = f"sqlite:///{shelf / 'new' / 'studies.db'}?timeout=3"
    closed(filled(url))
    assert (shelf / "new" / "studies.db").is_file()
    with sqlite3.connect(shelf / "new" / "studies.db") as file:
        assert file.execute("SELECT count(*) FROM trials").fetchone() == (2,)


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///a/F.db", "a/F.db"),
        ("sqlite:////a/F.db?timeout=3", "/a/F.db"),
        ("sqlite+pysqlite:///F.db", "F.db"),
        ("sqlite:///file:F.db?mode=ro&uri=true", "F.db"),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("postgresql://me:word@host/F.db", None),
        ("nonsense", None),
    ],
)
def test_the_file_of_a_store(url, file):
    assert sqlite_file(url) == (file and Path(file))
