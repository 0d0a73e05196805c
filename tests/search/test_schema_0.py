"""A store and its folder as searchlab 0.1.0 wrote them before there were schema versions: they are read for ever.

`fixtures/schema-0` was made by commit f239237 with `run`, `front --test`, `replicate --seeds 1 --points 2` and a
`resume` that was interrupted in trial 4.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny import Seen, made_record, run

import searchlab
from searchlab.analysis.stored_replicates import replicates_of
from searchlab.artefacts import load_network
from searchlab.data.datasets import load
from searchlab.data.splits import limited
from searchlab.front.points import study_front
from searchlab.schema import KEY, SCHEMA
from searchlab.search.catalog import find, load_space
from searchlab.search.definition import DEFINED, Definition
from searchlab.search.launch import RUNNERS, Launch, resume
from searchlab.search.runs import stored
from searchlab.search.store import stored_study
from searchlab.search.study_folder import check_artefacts, check_present
from searchlab.serialization import to_plain
from searchlab.study import RunOptions

FIXTURE = Path(__file__).parents[1] / "fixtures" / "schema-0" / "runs"


@pytest.fixture
def options(tmp_path) -> RunOptions:
    """A copy of the folder in another place than where it was written."""
    shutil.copytree(FIXTURE, tmp_path / "elsewhere")
    return RunOptions(output=tmp_path / "elsewhere", device="cpu")


def test_every_trial_opens_with_its_artefacts_where_they_are_now(options):
    store = stored_study("schema0", options)
    records = store.records()
    assert [r.state for r in records] == ["complete", "complete", "complete", "stopped", "interrupted"]
    for record in records[:4]:
        folder = Path(record.directory)
        assert folder == options.output / "schema0" / f"trial-{record.number:05d}"
        assert json.loads((folder / "record.json").read_text())["seed"] == record.seed
    check_artefacts(store, records)
    check_present(store, records)
    assert records[0].data.hash and records[0].data.images is not None
    assert load_network(Path(records[0].directory), records[0].candidate, records[0].data.images)


def test_the_definition_is_upgraded_in_memory(options):
    store = stored_study("schema0", options)
    study = store.definition.study
    assert (study.thresholds_per_exit, list(study.enqueue), study.rows) == (11, ["#1", "#2"], ())
    rows = stored_study("schema0_rows", options).definition.study
    assert rows.paper == "paper_limited" and rows.rows == ("Approach I", "Approach II (a)")
    assert "levels" in store.optuna.user_attrs[DEFINED]["study"], "nothing is written by looking"


def test_front_test_figures_replicates_and_the_list_of_studies_open(options):
    store = stored_study("schema0", options)
    front = study_front(store.definition.study, store.records(), most=12)
    assert len(front) == 6 and front[0].record.number == 0
    assert [(look.trial, len(look.test)) for look in store.looks()] == [(0, 6)]
    (replicate,) = replicates_of(store)
    assert replicate.readings and Path(replicate.record.directory).is_relative_to(options.output)
    assert {study.name: study.standing for study in stored(options).studies} == {
        "schema0": "interrupted",
        "schema0_rows": "finished",
    }


def test_its_results_in_python_are_those_of_the_front(options):
    results = searchlab.open_study("schema0", output=options.output)
    assert list(results.front().trial) == [0] * 6 and results.front().accuracy.is_monotonic_decreasing
    assert list(results.trials().state) == ["complete", "complete", "complete", "stopped", "interrupted"]
    assert len(results.points()) > results.points().on_front.sum() == 6
    assert results.best().accuracy == results.points().accuracy.max()
    images = np.zeros((2, 8, 8), dtype=np.uint8)
    assert len(results.best().classifier("cpu").predict(images)) == 2
    assert len(results.front(test=True)) == 6, "the store has what was seen of the test split"


@pytest.mark.slow
def test_it_is_resumed_and_written_with_todays_schema(options, monkeypatch):
    store = stored_study("schema0_rows", options)
    before = store.definition
    assert before.study.max_images is not None
    digits = limited(load("digits", options.data_root), before.study.max_images)
    monkeypatch.setitem(RUNNERS, "made up", lambda source, data: run(source, made_record))
    study = to_plain(before.study) | {"trials": 3, "paper": ""}
    now = Definition(type(before.study)(**study), before.written, before.space_text)
    driver = resume(Launch(now, load_space(find("space", "limited")), options, Seen(), "made up"), store)
    assert [record.number for record in driver.records] == [0, 1, 2], "what was enqueued is trained once"
    attributes = stored_study("schema0_rows", options).optuna.user_attrs
    assert attributes[DEFINED][KEY] == SCHEMA
    again = stored_study("schema0_rows", options).records()
    assert again[0].data == digits.facts, "what the data are is known once a driver had them at hand"
    assert again[0].row == "Approach I"
