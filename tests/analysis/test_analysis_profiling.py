from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from profiled import Notes, fake_measure, made_study, made_trial, report_of
from raises import raises_code

from searchlab.analysis.profiling import ProfileRequest, profile
from searchlab.errors import Interrupted, UserError
from searchlab.exits.frontier import FrontierSettings, exact_frontier
from searchlab.exits.table import load_table
from searchlab.front.points import study_front
from searchlab.record import LatencyCheck, Profile, Quantiles
from searchlab.search.profiles import profile_named, profiled, profiled_trials, profiles_of
from searchlab.search.storage import open_storage
from searchlab.search.store import StudyStore
from searchlab.study import RunOptions

TORCH = ProfileRequest("torch", "cpu", threads=1, name="torch")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a study with four trials. Tests give their profiles names of their own."""
    output = tmp_path_factory.mktemp("profiling") / "runs"
    made_study(output)
    return output


@pytest.fixture
def study(made) -> tuple[StudyStore, RunOptions]:
    where = RunOptions(output=made)
    return StudyStore.load("tiny", open_storage(where.storage_url, create=False), where.storage_url, made), where


@pytest.fixture
def everything_in_reach(monkeypatch):
    monkeypatch.setattr("searchlab.analysis.profile_bounds.Bounds.out_of_reach", lambda self, record: False)


def test_frontiers_are_those_of_the_stored_exit_tables_at_the_new_latencies(study, monkeypatch, everything_in_reach):
    store, where = study
    fake = fake_measure(monkeypatch, store)
    outcome = profile(store, where, replace(TORCH, name="anew"), Notes())
    assert sorted(outcome.measured) == sorted(fake.measured) == [0, 1, 2, 3] and not outcome.skipped
    defined, records = store.definition.study, store.records()
    settings = FrontierSettings(defined.objectives, defined.scores, defined.thresholds_per_exit)
    for record in profiled(store, records, "anew"):
        segments = report_of(record.cost, 2e-6, "torch").segments
        table = load_table(Path(record.directory) / "exit_table.npz")
        assert record.frontier == exact_frontier(table, Profile(record.cost, segments), settings)
        assert record.latency.machine.engine == "torch"
    assert {record.latency.machine.engine for record in records} == {"onnxruntime"}, "the study keeps its own"


def test_networks_on_the_front_of_the_study_are_measured_first(study, monkeypatch, everything_in_reach):
    store, where = study
    fake, notes = fake_measure(monkeypatch, store), Notes()
    first = {entry.record.number for entry in study_front(store.definition.study, store.records(), most=None)}
    profile(store, where, replace(TORCH, name="order"), notes)
    assert set(fake.measured[: len(first)]) == first and notes.ended == fake.measured
    assert notes.begun == ("order", 0, 4)


def test_networks_out_of_reach_are_not_measured(study, monkeypatch):
    store, where = study
    monkeypatch.setattr("searchlab.analysis.profile_bounds.MARGIN", 1.0)
    fake = fake_measure(monkeypatch, store)
    outcome = profile(store, where, replace(TORCH, name="reach"), Notes())
    assert outcome.skipped and sorted([*fake.measured, *outcome.skipped]) == [0, 1, 2, 3]
    records = profiled(store, store.records(), "reach")
    assert all(record.frontier is None for record in records if record.number in outcome.skipped)
    found = {entry.record.number for entry in study_front(store.definition.study, records, most=None)}
    assert not found & set(outcome.skipped)


def test_a_run_that_was_ended_goes_on_with_what_is_missing(study, monkeypatch, everything_in_reach):
    store, where = study
    fake, stop, notes = fake_measure(monkeypatch, store), Event(), Notes()
    notes.on_end = lambda record, skipped: stop.set()
    with pytest.raises(Interrupted):
        profile(store, where, replace(TORCH, name="ended"), notes, stop)
    assert len(fake.measured) == 1
    outcome = profile(store, where, replace(TORCH, name="ended"), Notes())
    assert outcome.before == fake.measured[:1] and len(outcome.measured) == 3
    assert sorted(fake.measured) == [0, 1, 2, 3], "none twice"


def test_later_measurements_are_in_the_unit_of_the_first(study, monkeypatch, everything_in_reach):
    store, where = study
    numbers = [record.number for record in store.records()]
    slower = {"reference": Quantiles(*[1.0] * 5)}
    fake_measure(monkeypatch, store, more=dict.fromkeys(numbers[1:], slower))
    profile(store, where, replace(TORCH, name="unit"), Notes())
    found = profiled_trials(store, "unit")
    assert profile_named(store, "unit").unit.reference_ms in (0.5, 1.0)
    assert len({each.latency.reference.p50 for each in found.values()}) == 1
    assert {each.latency.drift for each in found.values()} in ({1.0, 2.0}, {1.0, 0.5})


def test_a_profile_of_another_machine_is_not_mixed(study, monkeypatch, everything_in_reach):
    store, where = study
    fake = fake_measure(monkeypatch, store)
    profile(store, where, replace(TORCH, name="mixed"), Notes())
    with raises_code("machine-differs", where="study tiny"):
        profile(store, where, replace(TORCH, name="mixed", threads=2), Notes())
    assert len(fake.measured) == 4


def test_a_latency_that_is_not_believed_is_left_out_and_tried_again(study, monkeypatch, everything_in_reach):
    store, where = study
    monkeypatch.setattr("searchlab.record.BELIEVED", 0.25)
    fake, notes = fake_measure(monkeypatch, store, more={2: {"mixed": LatencyCheck(5.0, 1.0)}}), Notes()
    outcome = profile(store, where, replace(TORCH, name="noisy"), notes)
    assert outcome.failed == notes.failed and set(outcome.failed) == {2}
    assert "could not be measured: additive and end-to-end latency differ by 400 %" in outcome.failed[2]
    assert sorted(outcome.measured) == [0, 1, 3]
    fake.more.clear()
    assert profile(store, where, replace(TORCH, name="noisy"), Notes()).measured == [2]


def test_a_network_that_the_engine_cannot_run_leaves_the_others(study, monkeypatch, everything_in_reach):
    store, where = study
    fake_measure(monkeypatch, store, more={1: UserError("engine-unusable", "no operator", where="engine")})
    outcome = profile(store, where, replace(TORCH, name="operator"), Notes())
    assert sorted(outcome.measured) == [0, 2, 3] and outcome.failed == {1: "engine: no operator"}


def test_names_say_engine_device_and_threads_where_they_are_unusual(study, monkeypatch, everything_in_reach):
    store, where = study
    fake_measure(monkeypatch, store)
    assert profile(store, where, ProfileRequest("auto", "cpu"), Notes()).profile == "onnxruntime"
    assert profile(store, where, ProfileRequest("onnxruntime", "cpu", 2), Notes()).profile == "onnxruntime-2-threads"


def test_what_cannot_be_profiled_is_refused_before_anything_is_measured(study, monkeypatch):
    store, where = study
    fake = fake_measure(monkeypatch, store)
    before = profiles_of(store)
    for request, code in (
        (ProfileRequest("openvin"), "unknown-engine"),
        (ProfileRequest("cuda-graphs", "cpu"), "engine-unusable"),
        (ProfileRequest("torch", "gpu"), "unknown-device"),
        (replace(TORCH, name="study"), "invalid-profile-name"),
        (replace(TORCH, name="a/b"), "invalid-profile-name"),
    ):
        with raises_code(code):
            profile(store, where, request, Notes())
    assert not fake.measured and profiles_of(store) == before


def test_a_study_without_exit_tables(tmp_path, monkeypatch):
    store, where = made_study(tmp_path / "runs", trials=1)
    (tmp_path / "runs" / "tiny" / "trial-00000" / "exit_table.npz").unlink()
    fake = fake_measure(monkeypatch, store)
    with raises_code("artefact-unreadable", where="trial 0 of study tiny"):
        profile(store, where, TORCH, Notes())
    assert not fake.measured


def test_a_trial_that_failed_for_its_latency_alone_is_complete_in_a_profile(tmp_path, monkeypatch):
    def disturbed(spec):
        record = made_trial(spec)
        latency = replace(record.latency, mixed=LatencyCheck(5.0, 1.0))
        return replace(
            record, state="failed", reason="its latency could not be measured", latency=latency, frontier=None
        )

    store, where = made_study(tmp_path / "runs", disturbed, trials=1)
    fake_measure(monkeypatch, store)
    with raises_code("no-results", where="study tiny"):
        profile(store, where, TORCH, Notes())
    monkeypatch.setattr("searchlab.record.BELIEVED", 0.25)
    assert profile(store, where, TORCH, Notes()).measured == [0]
    (record,) = profiled(store, store.records(), "torch")
    assert record.state == "complete" and record.frontier.points


def test_a_study_without_a_trained_network(tmp_path):
    store, where = made_study(tmp_path / "runs", lambda spec: replace(made_trial(spec), state="stopped"), trials=1)
    with raises_code("no-results", where="study tiny"):
        profile(store, where, TORCH, Notes())


def test_no_bound_is_computed_only_to_tell_the_time_left(study, monkeypatch):
    """A study of a thousand trials would be silent for minutes after its first measurement."""
    from searchlab.analysis import profile_bounds

    store, where = study
    fake_measure(monkeypatch, store)
    computed, compute = [], profile_bounds.frontier_with

    def counted(study, record, prices, most=50):
        computed.append(record.number)
        return compute(study, record, prices, most)

    monkeypatch.setattr(profile_bounds, "frontier_with", counted)
    after_first: list[int] = []
    notes = Notes()
    notes.on_end = lambda record, skipped: after_first or after_first.append(len(computed) + 1)
    profile(store, where, replace(TORCH, name="silent"), notes)
    assert after_first == [1] and computed
