from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import torch
from fake_records import GPU, fake_record, fake_study
from raises import raises_code
from tiny import tiny_candidate, tiny_study

from searchlab import record as nouns
from searchlab import trial as trial_module
from searchlab.analysis import test_evaluation
from searchlab.analysis.test_evaluation import Unread, look
from searchlab.analysis.test_looks import comparable, looked_at
from searchlab.architecture import ResNet
from searchlab.artefacts import load_network, save_artefacts
from searchlab.candidate import Candidate, Exit, Gate
from searchlab.data.batches import Normaliser
from searchlab.deploy.scores import score_functions
from searchlab.errors import TrialFailure
from searchlab.exits.evaluate import evaluate
from searchlab.exits.scores import GATE
from searchlab.exits.table import load_table
from searchlab.exits.tabulate import tabulate
from searchlab.front.points import study_front
from searchlab.measure.device import this_machine
from searchlab.measure.latency import LatencyOptions, measure_latency
from searchlab.model.cost import network_cost
from searchlab.model.early_exit import build
from searchlab.operating_point import ExitRule, Frontier
from searchlab.record import Profile, TimeUnit
from searchlab.report.tables import trial_counts
from searchlab.study import TrialSpec
from searchlab.trial import run_trial

QUICK = LatencyOptions(budget_s=0.05, fewest_rounds=2)


def trials(digits, folder: Path, study) -> list:
    """Two networks, trained for a moment."""
    specs = [
        TrialSpec(n, tiny_candidate(width, learning_rate=0.1, batch_size=64), study, n, folder / f"trial-{n:05d}")
        for n, width in enumerate((4, 8))
    ]
    return [run_trial(spec, digits) for spec in specs]


@pytest.fixture(scope="module")
def counted(digits, tmp_path_factory):
    """A study of accuracy and MACs, and its records."""
    torch.set_num_threads(1)
    study = tiny_study(epochs=2)
    return study, trials(digits, tmp_path_factory.mktemp("counted"), study)


@pytest.mark.slow
def test_the_points_are_read_on_the_test_split_under_their_rules(counted, digits):
    study, records = counted
    points = study_front(study, records)
    looks = list(look(study, points, digits, "cpu"))
    assert sum(len(seen.test) for seen in looks) == len(points)
    for seen in looks:
        record = records[seen.trial]
        network = load_network(Path(record.directory), record.candidate, digits.spec)
        table = tabulate(network, digits.test, Normaliser.of(digits, "cpu"))
        mine = [point.point for point in points if point.record.number == seen.trial]
        assert [point.rule for point in seen.validation] == [point.rule for point in mine]
        assert list(seen.validation) == mine, "nothing was measured, so nothing moved"
        assert list(seen.test) == [evaluate(table, point.rule, Profile(record.cost)) for point in mine]
        assert seen.test[0].samples == len(digits.test) and seen.latency is None
        assert datetime.fromisoformat(seen.when).tzinfo is not None


@pytest.mark.slow
def test_each_trial_is_tabulated_once_however_many_points_it_has(counted, digits, monkeypatch):
    study, records = counted
    points = study_front(study, records)
    calls = []
    monkeypatch.setattr(test_evaluation, "tabulate", lambda *given: calls.append(given) or tabulate(*given))
    list(look(study, points, digits, "cpu"))
    assert len(calls) == len({point.record.number for point in points}) < len(points)


def test_no_points_no_look(counted, digits):
    assert list(look(counted[0], [], digits, "cpu")) == []


def test_missing_weights_are_named(counted, digits, tmp_path):
    study, records = counted
    moved = [replace(record, directory=str(tmp_path)) for record in records]
    with raises_code("artefact-unreadable"):
        list(look(study, study_front(study, moved), digits, "cpu"))


@pytest.mark.slow
def test_latencies_are_measured_again_with_the_threads_of_the_trial(digits, tmp_path, monkeypatch):
    threads = []

    def quick(network, reference, images, scores, device, options):
        threads.append(options.threads)
        return measure_latency(network, reference, images, scores, device, QUICK)

    monkeypatch.setattr(trial_module, "measure_latency", lambda *given: measure_latency(*given[:5], QUICK))
    monkeypatch.setattr("searchlab.deploy.latency_check.CHECK_OPTIONS", QUICK)
    monkeypatch.setattr(test_evaluation, "measure_latency", quick)
    study = tiny_study("accuracy", "latency_ms", epochs=2)
    records = trials(digits, tmp_path, study)
    points = study_front(study, records)
    looks = list(look(study, points, digits, "cpu"))
    assert set(threads) == {1}
    for seen in looks:
        record = records[seen.trial]
        assert seen.latency != record.latency
        # A check is of the latency that it was made with.
        assert seen.latency.check is not None and seen.latency.check != record.latency.check
        table = load_table(Path(record.directory) / "exit_table.npz")
        rules = [point.rule for point in seen.validation]
        again = [evaluate(table, rule, Profile(record.cost, seen.latency.segments)) for rule in rules]
        assert list(seen.validation) == again
        assert [p.latency_ms > 0 for p in seen.test] == [True] * len(rules)
    later = list(look(study, points, digits, "cpu", before=looks))
    units = {seen.latency.reference.p50 for seen in (*looks, *later)}
    assert max(units) == pytest.approx(min(units)), "all in the milliseconds of the first look"


@pytest.mark.slow
def test_gates_are_measured_again_and_read(digits, tmp_path, monkeypatch):
    measured = []

    def quick(network, reference, images, scores, device, options=QUICK):
        measured.append(list(scores))
        return measure_latency(network, reference, images, scores, device, QUICK)

    monkeypatch.setattr(test_evaluation, "measure_latency", quick)
    study = tiny_study("accuracy", "latency_ms")
    candidate = Candidate(ResNet((1, 1), 4), (Exit(0, gate=Gate()), Exit(1, gate=Gate())))
    network, normaliser = build(candidate, digits.spec), Normaliser.of(digits, "cpu")
    cost, rule = network_cost(candidate, digits.spec), ExitRule(GATE, (0, 1, 2), (0.0, 0.0))
    scores = score_functions(["margin", GATE])
    latency = measure_latency(network, study.reference, digits.spec, scores, torch.device("cpu"), QUICK)
    table = tabulate(network, digits.validation, normaliser)
    frontier = Frontier("validation", (evaluate(table, rule, Profile(cost, latency.segments)),))
    record = nouns.TrialRecord(0, "complete", candidate, 0, cost=cost, latency=latency, frontier=frontier)
    record = replace(record, directory=str(tmp_path))
    save_artefacts(tmp_path, network, table, record)
    (seen,) = look(study, study_front(study, [record]), digits, "cpu")
    assert measured == [["margin", GATE]] and len(seen.latency.segments.gates_ms) == 2
    test = tabulate(network, digits.test, normaliser)
    assert seen.validation == (evaluate(table, rule, Profile(cost, seen.latency.segments)),)
    assert seen.test == (evaluate(test, rule, Profile(cost, seen.latency.segments)),)


# -- on which machine, in which milliseconds


def measured_here(record):
    """As if its latency were measured on this machine."""
    latency = replace(record.latency, machine=this_machine(torch.device("cpu"), record.latency.machine.threads))
    return replace(record, latency=latency)


@pytest.fixture
def quick_look(monkeypatch):
    """Looks that measure and read nothing; the trials that were measured."""
    measured = []

    def report(study, record, dataset, device):
        measured.append(record.number)
        return replace(measured_here(record).latency, drift=1.0)

    monkeypatch.setattr(test_evaluation, "_measured", report)
    monkeypatch.setattr(
        test_evaluation, "_look", lambda found, data, device, latency: made_look(found[0].record, latency=latency)
    )
    return measured


@pytest.mark.parametrize("change", [{"torch": "2.14.0"}, {"name": "another CPU"}, {"device": "cuda"}, {"threads": 7}])
def test_points_of_another_machine_are_refused_before_anything_is_measured(quick_look, digits, change):
    record = measured_here(fake_record(0))
    points = study_front(fake_study(), [record])
    there = replace(record.latency, machine=replace(record.latency.machine, **change))
    before = [made_look(record, latency=there)]
    with raises_code("machine-differs", where="study digits", mentions="--device"):
        list(look(fake_study(), points, digits, "cpu", before))
    assert quick_look == []
    assert list(look(fake_study(), points, digits, "cpu", [made_look(record)])) and quick_look == [0]


def test_first_looks_are_in_the_studys_milliseconds_on_its_machine_and_in_their_own_elsewhere(quick_look, digits):
    records = [measured_here(fake_record(number)) for number in range(3)]
    points = study_front(fake_study(), records)
    here = records[0].latency.machine

    def units(unit):
        return {seen.latency.reference.p50 for seen in look(fake_study(), points, digits, "cpu", (), unit)}

    assert sorted(units(TimeUnit("resnet8", 4.0, here))) == [pytest.approx(4.0)]
    elsewhere = units(TimeUnit("resnet8", 4.0, replace(here, name="another CPU")))
    assert max(elsewhere) == pytest.approx(min(elsewhere)) and max(elsewhere) < 1, "the median of its own"


@pytest.mark.parametrize(
    "error", [TrialFailure("training-diverged", "not finite"), torch.OutOfMemoryError("CUDA out of memory")]
)
def test_a_trial_that_cannot_be_looked_at_is_named_and_the_others_are_read(counted, digits, monkeypatch, error):
    study, records = counted
    points, calls = study_front(study, records, most=None), []
    assert len({point.record.number for point in points}) == 2

    def once(*given):
        calls.append(given)
        if len(calls) == 1:
            raise error
        return tabulate(*given)

    monkeypatch.setattr(test_evaluation, "tabulate", once)
    unread, seen = look(study, points, digits, "cpu")
    assert isinstance(unread, Unread) and str(error) in unread.reason and isinstance(seen, nouns.TestLook)
    assert {unread.trial, seen.trial} == {0, 1}


# -- what a look makes of the records


def made_look(record, points=None, when: str = "2026-01-01T00:00:00+00:00", latency=None):
    points = record.frontier.points if points is None else points
    tests = tuple(
        replace(point, correct=point.correct - 1, correct_per_exit=(0,) * len(point.shares)) for point in points
    )
    return nouns.TestLook(record.number, when, latency or record.latency, tuple(points), tests)


def test_only_what_was_looked_at_is_on_the_final_front():
    records = [fake_record(number) for number in range(3)]
    points = records[1].frontier.points[6:9]
    final_records, tests = looked_at(records, [made_look(records[1], points)])
    assert [record.frontier is not None for record in final_records] == [False, True, False]
    assert final_records[1].frontier.points == points
    front = study_front(fake_study(), final_records, tests=tests)
    assert front and all(point.test.correct == point.point.correct - 1 for point in front)


def test_what_was_looked_at_on_another_day_stays():
    record = fake_record(0)
    first, second = record.frontier.points[6:8], record.frontier.points[8:11]
    looks = [made_look(record, first), made_look(record, second, "2026-02-02T00:00:00+00:00")]
    (seen,), tests = looked_at([record], looks)
    assert seen.frontier.points == (*first, *second)
    assert len(tests) == 5


def test_every_point_keeps_the_latency_that_it_was_measured_with():
    record = fake_record(0)
    first, second = record.frontier.points[6:8], record.frontier.points[8:11]
    wide = replace(record.latency, whole=replace(record.latency.whole, low=0.1, high=9.0))
    records, tests = looked_at([record], [made_look(record, first), made_look(record, second, latency=wide)])
    front = study_front(fake_study(), records, tests=tests)
    assert len(front) == len(tests) == 5
    for point in front:
        assert point.record.latency == (wide if point.point in second else record.latency)
        assert (point.latency.high > 2 * point.latency.value) == (point.point in second)
    assert trial_counts(records) == "1 trial: 1 complete"


def test_a_point_that_two_processes_looked_at_is_there_once():
    record = fake_record(0)
    points = record.frontier.points[6:12]
    again = made_look(record, points, latency=replace(record.latency, drift=2.0))
    records, _ = looked_at([record], [made_look(record, points), again])
    assert [len(each.frontier.points) for each in records] == [6, 0] and records[0].latency == record.latency


def test_milliseconds_of_two_machines_in_an_old_store_do_not_mix_and_the_front_opens():
    record, other = fake_record(0), fake_record(1)
    gpu = replace(record.latency, machine=GPU)
    looks = [made_look(record), made_look(record, latency=gpu), made_look(other, latency=gpu)]
    kept = comparable(looks)
    assert kept == looks[:1]
    records, tests = looked_at([record, other], kept)
    front = study_front(fake_study(), records, tests=tests)
    assert {point.record.number for point in front} == {0} and all(point.test for point in front)
    assert comparable([]) == [] and comparable(looks[1:]) == looks[1:]


def test_nothing_was_looked_at():
    (record,), tests = looked_at([fake_record(0)], [])
    assert record.frontier is None and tests == {}
