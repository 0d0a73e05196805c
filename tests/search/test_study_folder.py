"""A folder belongs to one study: two stores on one output folder never write over, or read, each other's trials."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from quick_part import quick_part
from raises import raises_code
from tiny import Seen, made_record, run, tiny_candidate, tiny_space, tiny_study

from searchlab.artefacts import write_record
from searchlab.errors import UserError
from searchlab.schema import KEY, SCHEMA
from searchlab.search import launch as launch_module
from searchlab.search.definition import DEFINED, Definition
from searchlab.search.launch import RUNNERS, Launch, resume, start, start_afresh
from searchlab.search.outputs import FILE, owner_of
from searchlab.search.removal import planned, remove
from searchlab.search.runs import stored
from searchlab.search.store import StudyStore, stored_study
from searchlab.search.study_facts import DATA, UNIT
from searchlab.search.study_folder import IDENTITY, check_artefacts, check_folder, check_present, identity_of
from searchlab.serialization import to_plain
from searchlab.study import RunOptions, TrialSpec
from searchlab.trial_files import RECORD


def with_artefacts(spec: TrialSpec, dataset):
    """A trial that leaves its record in its folder, as trials do."""
    record = replace(made_record(spec), data=dataset.facts, directory=str(spec.directory.absolute()))
    spec.directory.mkdir(parents=True, exist_ok=True)
    write_record(spec.directory, record)
    return record


@pytest.fixture(autouse=True)
def runner(monkeypatch):
    monkeypatch.setitem(RUNNERS, "made up", lambda source, data: run(source, lambda spec: with_artefacts(spec, data)))


@pytest.fixture
def options(tmp_path):
    """Options with a store beside the output folder, by its name."""

    def of(store: str = "", output: str = "runs") -> RunOptions:
        storage = f"sqlite:///{tmp_path / store}.db" if store else ""
        return RunOptions(output=tmp_path / output, storage=storage, device="cpu")

    return of


def launched(options, **study) -> Launch:
    made = tiny_study(**{"trials": 2, **study})
    return Launch(Definition(made, made, ""), tiny_space, options, Seen(), runner="made up")


def begun(options, **study) -> StudyStore:
    start(launched(options, **study))
    return stored_study("tiny", options)


def as_before(store: StudyStore, folder: Path) -> StudyStore:
    """The study as it was left before there were identities."""
    study_id = store.storage.get_study_id_from_name("tiny")
    kept = {key: value for key, value in store.optuna.user_attrs.items() if key not in (IDENTITY, UNIT, DATA)}
    with store.storage.engine.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM study_user_attributes WHERE key = '{IDENTITY}'")
    store.storage.remove_session()
    assert IDENTITY not in store.optuna.user_attrs and study_id and kept
    (folder / FILE).unlink()
    return store


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.json")}


@pytest.mark.slow
def test_a_second_store_on_a_folder_is_refused_and_leaves_nothing(options, tmp_path):
    begun(options("first"))
    before = contents(tmp_path / "runs")
    mentions = [f"{tmp_path / 'first'}.db", "--output", "--name"]
    with raises_code("folder-of-another-study", where=str(tmp_path / "runs" / "tiny"), mentions=mentions):
        start(launched(options("second"), seed=5))
    assert contents(tmp_path / "runs") == before
    assert not (tmp_path / "second.db").exists(), "a refused study leaves no empty store"
    assert len(begun(options("second", "elsewhere"), seed=5).records()) == 2
    assert len(resume(launched(options("first"), trials=3), stored_study("tiny", options("first"))).records) == 3


@pytest.mark.slow
def test_what_is_resumed_with_another_studys_folder_is_refused(options):
    begun(options("first"))
    store = begun(options("second", "elsewhere"), seed=5)
    with raises_code("folder-of-another-study"):
        resume(launched(options("second"), seed=5, trials=3), store)
    assert store.definition.study.trials == 2


@pytest.mark.slow
def test_drivers_of_one_study_have_a_folder_each(options, tmp_path):
    store = begun(options("first"))
    driver = resume(launched(options("first", "elsewhere"), trials=4), store)
    assert len(driver.records) == 4
    folders = [tmp_path / name / "tiny" for name in ("runs", "elsewhere")]
    assert len({owner_of(folder).identity for folder in folders}) == 1
    check_artefacts(store, store.records())


def test_a_store_that_moved_with_its_folder_goes_on(options, tmp_path):
    begun(options())
    shutil.move(tmp_path / "runs", tmp_path / "moved")
    moved = options(output="moved")
    store = stored_study("tiny", moved)
    assert len(resume(launched(moved, trials=3), store).records) == 3
    assert str(tmp_path / "moved" / "studies.db") in owner_of(tmp_path / "moved" / "tiny").store


def test_passwords_of_stores_are_not_written(tmp_path, monkeypatch, options):
    store = begun(options())
    store.url = "postgresql://me:secret@host/db"
    (tmp_path / "runs" / "tiny" / FILE).unlink()
    launch_module.claim(tmp_path / "runs" / "tiny", store, store.records())
    assert "secret" not in (tmp_path / "runs" / "tiny" / FILE).read_text()


# -- folders and stores of before


@pytest.mark.slow
def test_a_folder_without_its_file_is_adopted_by_the_study_whose_trials_lie_in_it(options, tmp_path):
    folder = tmp_path / "runs" / "tiny"
    store = as_before(begun(options("first")), folder)
    identity = identity_of(store)
    other = begun(options("second", "elsewhere"), seed=5)
    with raises_code("folder-of-another-study"):
        start(launched(options("third")))
    with raises_code("folder-of-another-study"):
        resume(launched(options("second"), seed=5), other)
    check_artefacts(store, store.records())
    resume(launched(options("first"), trials=3), store)
    assert owner_of(folder).identity == identity_of(store) == identity


def test_weights_that_another_store_overwrote_are_not_read(options, tmp_path):
    """As two stores on one folder did before there were identities."""
    store = as_before(begun(options("first")), tmp_path / "runs" / "tiny")
    check_artefacts(store, store.records())
    other = replace(made_record(TrialSpec(0, tiny_candidate(7), tiny_study())), seed=77)
    (tmp_path / "runs" / "tiny" / "trial-00000" / RECORD).write_text(json.dumps(to_plain(other)))
    with raises_code("folder-of-another-study", where="trial 0 of study tiny"):
        check_artefacts(store, store.records())


# -- kills and leftovers


def test_killed_between_the_store_and_the_folder_the_study_can_be_resumed(options, monkeypatch, tmp_path):
    def killed(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(launch_module, "claim", killed)
        with pytest.raises(KeyboardInterrupt):
            start(launched(options()))
    store = stored_study("tiny", options())
    assert identity_of(store) == "" and owner_of(tmp_path / "runs" / "tiny") is None
    assert len(resume(launched(options()), store).records) == 2
    assert owner_of(tmp_path / "runs" / "tiny").identity == identity_of(store) != ""


@pytest.mark.slow
def test_a_folder_in_which_no_trial_ended_is_free(options, tmp_path, monkeypatch):
    def unreachable(source, dataset):
        raise UserError("cluster-not-found", "no Ray cluster there")

    with monkeypatch.context() as patch:
        patch.setitem(RUNNERS, "made up", unreachable)
        with raises_code("cluster-not-found"):
            start(launched(options("first")))
    (tmp_path / "runs" / "tiny" / "trial-00000" / "features-1").mkdir(parents=True)
    store = begun(options("second"))
    assert owner_of(tmp_path / "runs" / "tiny").identity == identity_of(store)


def test_a_fresh_start_takes_over_the_folder(options, tmp_path):
    before = identity_of(begun(options()))
    start_afresh(launched(options()))
    assert owner_of(tmp_path / "runs" / "tiny").identity == identity_of(stored_study("tiny", options())) != before


@pytest.mark.parametrize("text", quick_part(["", "{", "[]", '{"identity": "a"}'], ["{"]))
def test_a_damaged_file_is_one_line_and_mended_by_its_removal(options, tmp_path, text):
    store, file = begun(options()), tmp_path / "runs" / "tiny" / FILE
    file.write_text(text)
    with raises_code("artefact-unreadable", where=str(file)):
        check_artefacts(store, store.records())
    with raises_code("artefact-unreadable", where=str(file), mentions="delete it"):
        resume(launched(options(), trials=3), store)
    file.unlink()
    assert len(resume(launched(options(), trials=3), store).records) == 3


def test_folders_that_are_gone_are_not_missed(options, tmp_path):
    store = begun(options())
    shutil.rmtree(tmp_path / "runs" / "tiny")
    check_artefacts(store, store.records())
    check_folder(tmp_path / "runs" / "tiny", store)


def test_a_folder_names_the_file_of_its_store_without_the_options_of_the_url(tmp_path, options):
    where = replace(options(), storage=f"sqlite:///{tmp_path / 'kept.db'}?timeout=3")
    study = tiny_study(name="named")
    definition = Definition(study, study, "", "")
    start(Launch(definition, tiny_space, where, Seen(), "made up"))
    assert owner_of(where.output / "named").store == f"sqlite:///{tmp_path / 'kept.db'}"


# -- folders that moved, and those of other drivers


def test_a_moved_folder_is_found_by_every_reader(options, tmp_path):
    begun(options())
    shutil.move(tmp_path / "runs", tmp_path / "moved")
    store = stored_study("tiny", options(output="moved"))
    for record in store.records():
        assert Path(record.directory) == tmp_path / "moved" / "tiny" / f"trial-{record.number:05d}"
        stored = json.dumps(store.trials()[record.number].user_attrs)
        assert str(tmp_path) not in stored and str(tmp_path) not in (Path(record.directory) / RECORD).read_text()


def test_each_drivers_trials_are_found_in_its_own_output_also_when_the_given_one_moved(options, tmp_path):
    store = begun(options("first"))
    resume(launched(options("first", "elsewhere"), trials=4), store)
    shutil.move(tmp_path / "runs", tmp_path / "moved")
    records = stored_study("tiny", options("first", "moved")).records()
    roots = [Path(record.directory).parents[1].name for record in records]
    assert roots == ["moved", "moved", "elsewhere", "elsewhere"]
    assert len({record.output for record in records}) == 2


def test_missing_artefacts_are_one_line_that_says_where_they_were_written(options, tmp_path):
    store = begun(options())
    shutil.rmtree(tmp_path / "runs" / "tiny" / "trial-00001")
    mentions = [f"{tmp_path / 'runs'} on ", "--output"]
    with raises_code("artefact-unreadable", where="trial 1 of study tiny", mentions=mentions):
        check_present(store, store.records()[1:])


def test_the_last_known_place_is_kept_when_a_folder_moved(options, tmp_path):
    begun(options())
    shutil.move(tmp_path / "runs", tmp_path / "moved")
    store = stored_study("tiny", options(output="moved"))
    resume(launched(options(output="moved"), trials=3), store)
    (seen,) = store.codec.outputs.seen.values()
    assert seen.path == str(tmp_path / "moved")


# -- newer versions


@pytest.mark.slow
def test_a_study_of_a_newer_version_is_refused_by_all_and_stays_as_it_is(options, tmp_path):
    store = begun(options())
    newer = dict(store.optuna.user_attrs[DEFINED]) | {KEY: SCHEMA + 1}
    store.optuna.set_user_attr(DEFINED, newer)
    before = contents(tmp_path / "runs")
    for refused in (
        lambda: stored_study("tiny", options()),
        lambda: start(launched(options())),
        lambda: start_afresh(launched(options())),
        lambda: planned("tiny", options()),
        lambda: remove("tiny", options()),
    ):
        with raises_code("store-newer"):
            refused()
    (listed,) = stored(options()).studies
    assert (listed.standing, "update searchlab" in listed.detail) == ("newer", True)
    assert contents(tmp_path / "runs") == before and store.optuna.user_attrs[DEFINED] == newer
