"""What a study keeps once: its unit of time, whatever measures first, and its data."""

from dataclasses import replace

import pytest
import torch
from fake_records import CPU, GPU, fake_record
from raises import raises_code
from tiny import IMAGES, Seen, made_record, tiny_candidate, tiny_space, tiny_study

from searchlab.front.points import cost_scales
from searchlab.measure.calibration import calibrated
from searchlab.measure.device import this_machine
from searchlab.record import DataFacts, Scales, TimeUnit
from searchlab.runners import local
from searchlab.runners.local import run_local
from searchlab.search.driver import Driver, Problem
from searchlab.search.heartbeat import Heartbeat
from searchlab.search.launch import Launch, resume
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore
from searchlab.search.study_facts import DATA, UNIT, fix_data, fix_unit, same_data, unit_of
from searchlab.study import RunOptions, TrialSpec

STUDY = tiny_study("accuracy", "latency_ms", trials=4)
HERE = this_machine(torch.device("cpu"), 1)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'studies.db'}"


@pytest.fixture
def store(url):
    return StudyStore.create(Definition(STUDY, STUDY, ""), open_storage(url, create=True), url)


@pytest.fixture
def driver(store):
    """A driver as a process of its own finds the store."""

    def make() -> Driver:
        known = StudyStore.load(STUDY.name, open_storage(store.url, create=False), store.url)
        return Driver(Problem(STUDY, tiny_space, IMAGES), known, RunOptions(), "cpu", Seen())

    return make


def latency(reference_ms: float, machine=HERE):
    """As timed where the reference took so long."""
    report = fake_record(0, machine=CPU).latency
    return calibrated(replace(report, machine=machine), TimeUnit("resnet8", reference_ms, machine))


def outcome(state: str, report):
    def made(spec):
        record = made_record(spec, "complete" if state == "infeasible" else state)
        points = tuple(replace(point, latency_ms=1.0 + n) for n, point in enumerate(record.frontier.points))
        record = replace(record, frontier=replace(record.frontier, points=points))
        if state == "infeasible":
            record = replace(record, state=state, frontier=None, excess={"latency_ms": 0.5})
        return replace(record, latency=report)

    return made


# -- the unit of time


@pytest.mark.slow
def test_the_first_measurement_fixes_the_unit_before_any_trial_ends(driver, digits, monkeypatch):
    """Two drivers whose first trials both still run."""
    seen = []

    def trial(spec, dataset, hooks):
        report = latency(2.0 if not seen else 3.0)
        seen.append(hooks.in_unit(report).reference.p50)
        raise KeyboardInterrupt

    monkeypatch.setattr(local, "run_trial", trial)
    for each in (driver(), driver()):
        with pytest.raises(KeyboardInterrupt):
            run_local(each, digits)
    assert seen == [pytest.approx(2.0), pytest.approx(2.0)]
    assert driver().unit == TimeUnit.of(latency(2.0)) and driver().records == []


def test_a_latency_of_another_machine_is_refused_before_training(driver, digits, monkeypatch):
    driver().fix_unit(TimeUnit.of(latency(2.0, GPU)))
    monkeypatch.setattr(local, "run_trial", lambda spec, dataset, hooks: hooks.in_unit(latency(2.0)))
    with raises_code("machine-differs", where="latency", mentions="so far cuda NVIDIA H200"):
        run_local(driver(), digits)


def test_the_first_writer_wins(store):
    first, second = TimeUnit.of(latency(2.0)), TimeUnit.of(latency(3.0))
    assert fix_unit(store, [], first) == fix_unit(store, [], second) == unit_of(store, []) == first


@pytest.mark.parametrize("state", ["infeasible", "stopped"])
def test_trials_that_are_not_complete_do_not_decide_the_unit_of_an_old_store(store, driver, state):
    """Their machine was never checked: CPU latencies were divided into GPU milliseconds."""
    trial = store.optuna.ask()
    record = replace(fake_record(0, state="stopped", machine=GPU), state=state)
    store.finish(trial, record, None)
    assert record.latency and driver().unit is None
    report = latency(2.0)
    assert calibrated(report, driver().fix_unit(TimeUnit.of(report))) == calibrated(report, TimeUnit.of(report))


def test_an_old_store_has_its_unit_from_its_first_complete_trial_and_keeps_it(store, driver):
    stopped, complete = fake_record(0, state="stopped", machine=GPU), fake_record(1)
    store.finish(store.optuna.ask(), stopped, None)
    store.finish(store.optuna.ask(), complete, [0.9, 1.0])
    unit = TimeUnit.of(complete.latency)
    assert driver().unit == unit and UNIT not in store.optuna.user_attrs
    assert driver().fix_unit(TimeUnit.of(latency(9.0))) == unit and UNIT in store.optuna.user_attrs


@pytest.mark.parametrize("state", ["complete", "stopped", "infeasible"])
def test_a_record_whose_latency_is_of_another_machine_is_kept_as_failed(driver, state, monkeypatch):
    """Both drivers measured before either knew of the other."""
    monkeypatch.setattr(Heartbeat, "lives", True)
    first, second = driver(), driver()
    ours, theirs = first.ask(), second.ask()
    first.tell(outcome("complete", latency(2.0))(ours))
    second.tell(outcome(state, latency(0.5, GPU))(theirs))
    known = {record.number: record for record in driver().records}
    assert known[ours.number].state == "complete"
    assert (
        known[theirs.number].state == "failed" and "on another machine (cuda NVIDIA H200" in known[theirs.number].reason
    )
    assert driver().unit.machine == HERE and len(driver().history.front) > 0


def test_the_cost_scale_of_latency_is_the_unit_whichever_trial_is_complete(driver):
    first = driver()
    unit = first.fix_unit(TimeUnit.of(latency(2.0)))
    for timed in (5.0, 3.0):
        first.tell(outcome("complete", calibrated(latency(timed), unit))(first.ask()))
    for records in (first.records, first.records[1:]):
        assert cost_scales(STUDY, records)["latency_ms"] == pytest.approx(unit.reference_ms, rel=1e-12)


def test_a_damaged_unit_is_one_line(store):
    store.optuna.set_user_attr(UNIT, {"reference_ms": 0.0})
    with raises_code("store-damaged", mentions="study tiny, attribute 'time unit'"):
        unit_of(store, [])


@pytest.mark.slow
def test_a_study_goes_on_with_its_reference_alone(store, tmp_path):
    fix_unit(store, [], TimeUnit.of(latency(2.0)))
    other = replace(STUDY, reference="resnet20")
    launch = Launch(Definition(other, other, ""), tiny_space, RunOptions(output=tmp_path, device="cpu"), Seen())
    with raises_code("reference-differs", where="study tiny", value="resnet20"):
        resume(launch, store)
    assert store.definition.study == STUDY


# -- the data


def test_a_driver_that_joins_on_other_data_is_refused_before_the_first_trial_ended(store, digits):
    same_data(store, [], digits)
    fix_data(store, digits)
    same_data(store, [], digits)
    with raises_code("data-differ", where="digits", value="other", mentions="--data"):
        same_data(store, [], replace(digits, hash="other"))


def test_an_old_store_knows_its_data_from_its_records(store, digits):
    record = replace(made_record(TrialSpec(0, tiny_candidate(), STUDY)), data=DataFacts(hash="long ago"))
    assert DATA not in store.optuna.user_attrs
    with raises_code("data-differ", where="digits", mentions="long ago"):
        same_data(store, [record], digits)


def test_a_study_of_an_earlier_version_gets_the_scales_of_its_images(store, digits):
    """Records refer to the facts that the study stores: without scales, a classifier would read other pixels."""
    fix_data(store, replace(digits, scales=None))
    record = replace(made_record(TrialSpec(0, tiny_candidate(), STUDY)), data=replace(digits.facts, scales=None))
    stored = store.codec.stored(record)
    assert stored["data"] == {"hash": digits.hash} and store.codec.record(stored, "here").data.scales is None
    fix_data(store, replace(digits, scales=Scales(4095)))
    assert store.codec.record(stored, "here").data.scales == Scales(4095)
    fix_data(store, digits)
    assert store.codec.record(stored, "here").data.scales == Scales(4095)
