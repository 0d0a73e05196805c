"""Studies in a store of a test's own, run with trials that are made up."""

from dataclasses import replace
from threading import Event

import pytest
from tiny import IMAGES, Seen, made_record, run, tiny_space, tiny_study

from searchlab.search.driver import Driver, Problem
from searchlab.search.launch import RUNNERS
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore
from searchlab.study import RunOptions


@pytest.fixture
def where(tmp_path):
    return RunOptions(output=tmp_path / "out")


@pytest.fixture
def made(where):
    """A study of so many trials that were run, of four."""

    def make(name: str, trials: int) -> StudyStore:
        study, url = tiny_study(name=name), where.storage_url
        store = StudyStore.create(Definition(study, study, ""), open_storage(url, create=True), url)
        driver = Driver(Problem(study, tiny_space, IMAGES), store, where, "cpu", Seen(), Event())
        run(driver, at_most=trials)
        if trials == 4:
            assert driver.ask() is None
            store.note_end(driver.ended_by)
        else:
            driver.ask()
        return store

    return make


@pytest.fixture
def options(tmp_path):
    return RunOptions(data_root=tmp_path / "data", output=tmp_path / "runs", device="cpu")


@pytest.fixture
def nothing_is_trained(monkeypatch):
    def runner(source, dataset):
        run(source, lambda spec: replace(made_record(spec), data=dataset.facts))

    monkeypatch.setitem(RUNNERS, "made up", runner)
