import fcntl
import os
import sys
from dataclasses import replace

import pytest
import torch
from fake_records import CPU, fake_record
from launches import begun, launch_of
from raises import raises_code
from tiny import run, tiny_study

from searchlab.data.datasets import DATASETS
from searchlab.data.splits import limited
from searchlab.exits.scores import GATE, SCORES
from searchlab.measure.device import this_machine
from searchlab.measure.references import REFERENCES
from searchlab.objective import Objective
from searchlab.record import DataFacts
from searchlab.search.early_stopping import EARLY_STOPPING
from searchlab.search.launch import RUNNERS, check_names, resume, start, start_afresh
from searchlab.search.samplers import SAMPLERS
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore, stored_study
from searchlab.study import RunOptions, Study

pytestmark = pytest.mark.usefixtures("nothing_is_trained")


def check_refused(refused: raises_code, study: Study, options: RunOptions, **more) -> None:
    """The error is the expected one; there is no study in the store, and nothing was tried."""
    launch = launch_of(study, options, **more)
    with refused:
        start(launch)
    assert launch.watch.notes == []
    assert not (options.output / "studies.db").exists()


def test_a_study_runs_and_is_kept(options):
    driver = start(launch_of(tiny_study(trials=3), options))
    store = stored_study("tiny", options)
    assert [record.number for record in store.records()] == [0, 1, 2]
    assert store.records() == driver.records
    assert store.definition.space_text == "the space's text"


def test_known_good_parameters_are_tried_first(options):
    study = tiny_study(trials=3, enqueue=({"width": 7, "rate": 0.1}, {"width": 2}))
    records = start(launch_of(study, options)).records
    first, second, _ = (record.candidate for record in records)
    assert (first.architecture.width, first.training.learning_rate) == (7, 0.1)
    assert second.architecture.width == 2


@pytest.mark.slow
def test_a_resumed_study_goes_on_to_its_budget(options):
    start(launch_of(tiny_study(trials=2), options))
    driver = resume(launch_of(tiny_study(trials=5), options), stored_study("tiny", options))
    assert [record.number for record in driver.records] == [0, 1, 2, 3, 4]
    assert stored_study("tiny", options).definition.study.trials == 5


def test_as_much_of_the_data_as_the_study_takes_and_no_other_part_later(options, digits):
    (record,) = start(launch_of(tiny_study(trials=1, max_images=100), options)).records
    assert record.data.hash == limited(digits, 100).hash != digits.hash
    with raises_code("data-differ", where="digits"):
        resume(launch_of(tiny_study(trials=2, max_images=101), options), stored_study("tiny", options))


@pytest.mark.slow
def test_afresh_forgets_what_there_was(options):
    start(launch_of(tiny_study(trials=3), options))
    (options.output / "tiny" / "trial-00002").mkdir()
    (options.output / "tiny" / "front.html").touch()
    driver = start_afresh(launch_of(tiny_study(trials=2, seed=4), options))
    store = stored_study("tiny", options)
    assert store.records() == driver.records and len(driver.records) == 2
    assert store.definition.study.seed == 4
    assert sorted(path.name for path in (options.output / "tiny").iterdir()) == ["driver.lock", "study.json"]


def test_afresh_leaves_a_study_alone_that_another_process_runs(options):
    begun(options, tiny_study(trials=1))
    held = os.open(options.output / "tiny" / "driver.lock", os.O_RDWR)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with raises_code("study-running", where="study tiny"):
            start_afresh(launch_of(tiny_study(trials=2), options))
    finally:
        os.close(held)
    assert len(stored_study("tiny", options).records()) == 1


def test_as_many_threads_as_asked_for(options):
    start(launch_of(tiny_study(trials=1), replace(options, threads=2)))
    assert torch.get_num_threads() == 2


# -- what is refused before anything is trained


def names(known) -> str:
    return ", ".join(sorted(known))


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        (
            {"data": "cifar1"},
            raises_code(
                "unknown-data-set",
                value="cifar1",
                mentions=["did you mean 'cifar10'?", f"known: {names(DATASETS)}", "folder:PATH"],
            ),
        ),
        ({"data": "folder:/nowhere/at/all"}, raises_code("path-not-found", value="/nowhere/at/all")),
        ({"data": "cifar10"}, raises_code("data-missing", mentions="--download")),
        (
            {"sampler": "bayes"},
            raises_code(
                "unknown-sampler", where="Study.sampler", value="bayes", mentions=[f"known: {names(SAMPLERS)}", ".py"]
            ),
        ),
        (
            {"early_stopping": "asha"},
            raises_code(
                "unknown-early-stopping-rule",
                value="asha",
                mentions=["did you mean 'moasha'?", f"known: {names(EARLY_STOPPING)}"],
            ),
        ),
        (
            {"reference": "resnet9"},
            raises_code(
                "unknown-reference",
                where="Study.reference",
                value="resnet9",
                mentions=["did you mean 'resnet8'?", f"known: {names(REFERENCES)}"],
            ),
        ),
        (
            {"scores": ("margin", "luck")},
            raises_code(
                "unknown-score",
                where="Study.scores",
                value="luck",
                mentions=[f"known: {names([*SCORES, GATE])}", ".py"],
            ),
        ),
        ({"max_params": 10}, raises_code("limits-too-low", where="study tiny", value=10, mentions="max_params")),
        ({"max_macs": 10}, raises_code("limits-too-low", value=10, mentions="max_macs")),
        ({"name": ""}, raises_code("invalid-study-name", value="")),
        ({"name": "../up"}, raises_code("invalid-study-name", value="../up")),
        ({"name": "a/b"}, raises_code("invalid-study-name", value="a/b")),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_study_that_names_what_there_is_not(options, fields, refused):
    check_refused(refused, tiny_study(**fields), options)


def test_an_objective_that_is_none(options):
    beauty = Objective("beauty", "maximize", "", "beauty")
    known = "known: accuracy, latency_ms, macs, params"
    refused = raises_code("unknown-objective", where="Study.objectives", value="beauty", mentions=known)
    check_refused(refused, replace(tiny_study(), objectives=(tiny_study().objectives[0], beauty)), options)


@pytest.mark.parametrize("name", ["digits", "my-study", "v1.2", "a_b+c", "Größe"])
def test_names_that_are_fit_for_a_folder(name):
    check_names(tiny_study(name=name))


@pytest.mark.parametrize("device", ["tpu", "cuda:99"])
def test_a_device_that_is_not_there(options, device):
    check_refused(raises_code("unknown-device", value=device), tiny_study(), replace(options, device=device))


def test_a_space_that_raises(options):
    refused = raises_code("user-code-raised", mentions="ZeroDivisionError")
    check_refused(refused, tiny_study(), options, space=lambda choose: 1 / 0)


def test_an_output_that_cannot_be_written(options):
    output = options.data_root.parent / "file" / "runs"
    check_refused(raises_code("cannot-write"), tiny_study(), replace(options, output=output))


@pytest.fixture(autouse=True)
def a_file_in_the_way(tmp_path):
    (tmp_path / "file").touch()


@pytest.mark.slow
def test_a_name_that_is_taken_leaves_the_first_study_alone(options):
    start(launch_of(tiny_study(trials=2), options))
    before = stored_study("tiny", options)
    with raises_code("study-exists", mentions="'tiny'"):
        start(launch_of(tiny_study(trials=9, seed=4), options))
    after = stored_study("tiny", options)
    assert (after.definition, after.records()) == (before.definition, before.records())


# -- what is refused when a study is resumed


def test_other_data_than_before(options, monkeypatch):
    with monkeypatch.context() as earlier:
        earlier.setitem(RUNNERS, "made up", lambda source, dataset: run(source))
        store = begun(options, tiny_study(trials=1))
    with raises_code("data-differ", where="digits", mentions="made up"):
        resume(launch_of(tiny_study(trials=3), options), store)
    assert stored_study("tiny", options).definition.study.trials == 1


@pytest.mark.parametrize("objectives", [("accuracy", "macs", "params"), ("accuracy", "params"), ("macs", "accuracy")])
def test_other_objectives_are_refused_before_anything_is_trained_or_stored(options, objectives):
    store = begun(options, tiny_study("accuracy", "macs", trials=1))
    launch = launch_of(tiny_study(*objectives, trials=3), options)
    with raises_code(
        "definition-changed", where="study tiny", value=", ".join(objectives), mentions="so far accuracy, macs; "
    ):
        resume(launch, store)
    assert launch.watch.notes == [] and len(store.trials()) == 1
    assert resume(launch_of(tiny_study("accuracy", "macs", trials=2), options), store).ended_by


def test_a_definition_that_an_earlier_version_spoiled_with_other_objectives_is_mended(options):
    store = begun(options, tiny_study("accuracy", "macs", trials=1))
    spoiled = tiny_study("accuracy", "macs", "params")
    store.redefine(Definition(spoiled, spoiled, ""))
    with raises_code("definition-changed", where="study tiny"):
        resume(launch_of(spoiled, options), store)
    assert resume(launch_of(tiny_study("accuracy", "macs", trials=2), options), store).ended_by


def test_limits_are_checked_again(options):
    store = begun(options, tiny_study(trials=1))
    with raises_code("limits-too-low", where="study tiny", value=10, mentions="max_params"):
        resume(launch_of(tiny_study(trials=3, max_params=10), options), store)


def measured_on(machine, options: RunOptions) -> StudyStore:
    """A study with one trial whose latency was measured on that machine."""
    study = tiny_study("accuracy", "latency_ms")
    storage = open_storage(options.storage_url, create=True)
    store = StudyStore.create(Definition(study, study, ""), storage, options.storage_url)
    record = replace(fake_record(0, machine=machine), data=DataFacts())
    store.finish(store.optuna.ask(), record, [0.9, 1.0])
    return store


def test_another_machine_than_before_is_refused_and_named(options):
    with raises_code("machine-differs", where="study tiny", mentions="EPYC 7763") as raised:
        resume(launch_of(tiny_study("accuracy", "latency_ms"), options), measured_on(CPU, options))
    assert "--threads" in str(raised.value)


def test_a_study_of_before_there_were_engines_goes_on_in_pytorch(options, monkeypatch):
    """Its definition names no engine, so it would go on in that of today, and its latencies would mix."""
    store = measured_on(this_machine(torch.device("cpu"), 1), options)
    specs = []
    monkeypatch.setitem(RUNNERS, "made up", lambda source, dataset: specs.append(source.ask()))
    resume(launch_of(tiny_study("accuracy", "latency_ms", trials=2), options), store)
    assert [spec.study.engine for spec in specs] == ["torch"]


def test_a_study_that_goes_on_in_another_engine_is_refused(options):
    store = measured_on(this_machine(torch.device("cpu"), 1), options)
    study = tiny_study("accuracy", "latency_ms", engine="onnxruntime")
    with raises_code("machine-differs", where="study tiny", mentions=["torch", "onnxruntime", "--engine"]):
        resume(launch_of(study, options), store)


@pytest.mark.parametrize(("engine", "code"), [("onnx", "unknown-engine"), ("cuda-graphs", "engine-unusable")])
def test_an_engine_that_cannot_run_here_is_refused_before_anything_is_written(options, engine, code):
    with raises_code(code, where="Study.engine", value=engine):
        start(launch_of(tiny_study("accuracy", "latency_ms", engine=engine), replace(options, device="cpu")))
    assert not options.output.exists() or not any(options.output.iterdir())


def test_a_missing_engine_is_said_before_the_data_are_read(options, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr("searchlab.search.launch.load_data", None)
    launch = launch_of(tiny_study("accuracy", "latency_ms", engine="openvino"), options)
    with raises_code("engine-missing", where="Study.engine", value="openvino", mentions="pip install"):
        start(launch)


def test_trainings_keep_all_cores_where_the_engine_measures_on_one_thread(options):
    """The study's latencies are on one thread: a study that goes on would have trained on one, too."""
    store = measured_on(this_machine(torch.device("cpu"), 1, "onnxruntime"), options)
    torch.set_num_threads(2)
    resume(launch_of(tiny_study("accuracy", "latency_ms", trials=1), options), store)
    assert torch.get_num_threads() == 2


def test_the_threads_are_those_of_the_study_so_far(options):
    store = measured_on(this_machine(torch.device("cpu"), 3), options)
    resume(launch_of(tiny_study("accuracy", "latency_ms", trials=1), options), store)
    assert torch.get_num_threads() == 3


# -- one driver at a time
