import dataclasses
import itertools

import pytest
from fake_records import CPU, GPU, fake_point, fake_record, fake_records, fake_study
from hypothesis import given
from hypothesis import strategies as st
from raises import raises_code

from searchlab.architecture import Partitioned, ResNet
from searchlab.candidate import Candidate, Exit
from searchlab.front.points import cost_scales, exit_names, final_front, state_counts, study_front, study_hypervolume
from searchlab.operating_point import ExitRule

OBJECTIVES = st.sampled_from([("accuracy", "latency_ms"), ("accuracy", "macs"), ("accuracy", "latency_ms", "params")])
COST = st.integers(1, 6)
FRONTIERS = st.lists(
    st.lists(st.tuples(st.integers(0, 9), COST, COST, COST), min_size=1, max_size=4), min_size=1, max_size=6
)


def records_of(frontiers):
    """A complete record for every list of (correct, macs, params, latency)."""
    return [
        fake_record(number, [fake_point(36 * c, float(m), p, float(t)) for c, m, p, t in points])
        for number, points in enumerate(frontiers)
    ]


def values(point, objectives):
    return tuple(-point.accuracy if name == "accuracy" else getattr(point, name) for name in objectives)


@given(FRONTIERS, OBJECTIVES)
def test_the_front_is_what_nothing_dominates(frontiers, names):
    records = records_of(frontiers)
    everything = {values(point, names) for record in records for point in record.frontier.points}
    expected = {
        mine
        for mine in everything
        if not any(all(o <= m for o, m in zip(other, mine, strict=True)) and other != mine for other in everything)
    }
    front = study_front(fake_study(*names), records, most=None)
    found = [values(entry.point, names) for entry in front]
    assert set(found) == expected and len(found) == len(expected)
    assert [entry.number for entry in front] == list(range(1, len(front) + 1))
    assert all(entry.point in entry.record.frontier.points for entry in front)


@given(FRONTIERS, OBJECTIVES)
def test_hypervolume_never_shrinks_and_stays_within_one(frontiers, names):
    records, study = records_of(frontiers), fake_study(*names)
    volumes = [study_hypervolume(study, records[:n]) for n in range(len(records) + 1)]
    assert volumes[0] == 0.0
    assert all(after >= before - 1e-12 for before, after in itertools.pairwise(volumes))
    assert volumes[-1] <= 1.0


def test_hypervolume_of_one_point_as_dear_as_its_cost_scale_is_half_its_accuracy():
    study = fake_study("accuracy", "macs", max_macs=1000)
    record = fake_record(0, [fake_point(324, 1000.0, 10)], machine=None)
    assert study_hypervolume(study, [record]) == pytest.approx(0.9 / 2)


def test_cost_scales_are_limits_or_the_first_complete_trial():
    records = [fake_record(0, state="infeasible"), *(fake_record(n) for n in (2, 1))]
    study = fake_study("accuracy", "latency_ms", "macs", max_macs=None)
    first = records[2]
    assert cost_scales(study, records) == {
        "latency_ms": first.latency.reference.p50,
        "macs": first.cost.macs,
    }
    assert cost_scales(fake_study("accuracy", "params"), records) == {"params": 300_000}
    assert cost_scales(study, records[:1]) == {}


@pytest.mark.parametrize("state", ["stopped", "failed", "infeasible", "running"])
def test_only_complete_trials_enter(state):
    best = fake_record(1, [fake_point(360, 1.0, 1, 0.001)], state=state)
    front = study_front(fake_study(), [fake_record(0), best])
    assert {entry.record.number for entry in front} == {0}


def test_of_equal_points_the_earliest_trial_stays():
    points = [fake_point(300, 1e6, 1000, 1.0)]
    (entry,) = study_front(fake_study(), [fake_record(7, points), fake_record(3, points)])
    assert entry.record.number == 3


def test_a_point_without_the_latency_that_counts_is_left_out():
    assert study_front(fake_study(), [fake_record(0, [fake_point(360, 1.0, 1)])]) == []


def test_the_front_is_thinned_best_first_and_keeps_its_ends():
    study, records = fake_study(), fake_records()
    whole, thinned = study_front(study, records, most=None), study_front(study, records, most=5)
    accuracies = [entry.point.accuracy for entry in thinned]
    assert len(thinned) == 5 < len(whole)
    assert accuracies == sorted(accuracies, reverse=True)
    assert (thinned[0].point, thinned[-1].point) == (whole[0].point, whole[-1].point)


def test_a_point_has_one_number_however_many_are_shown_with_it():
    study, records = fake_study(), fake_records()
    whole = {entry.number: entry for entry in study_front(study, records, most=None)}
    assert list(whole) == list(range(1, len(whole) + 1))
    for most in (3, 5, 12):
        thinned = study_front(study, records, most=most)
        assert [whole[entry.number] for entry in thinned] == thinned
        assert {entry.total for entry in thinned} == {len(whole)}


def test_points_measured_again_keep_their_numbers_and_those_no_longer_on_the_front_come_after():
    study, records = fake_study(), fake_records(2)[:2]
    whole = study_front(study, records, most=None)
    kept = [entry for entry in whole if entry.record.number == whole[-1].record.number]
    record = kept[-1].record
    few = {"correct": 1, "correct_per_exit": (1, 0), "shares": (0.5, 0.5), "latency_ms": 1e-4}
    gone = dataclasses.replace(kept[-1].point, **few, rule=ExitRule("margin", (0, 1), (7.0,)))
    frontier = dataclasses.replace(record.frontier, points=(kept[0].point, kept[-1].point, gone))
    again = [dataclasses.replace(record, frontier=frontier)]
    final = final_front(study, records, again)
    assert [entry.number for entry in final] == [kept[0].number, kept[-1].number, len(whole) + 1]
    assert {entry.total for entry in final} == {len(whole)}


def test_test_points_are_found_by_trial_and_rule():
    study, records = fake_study(), fake_records()
    first = study_front(study, records)[0]
    seen = dataclasses.replace(first.point, correct=first.point.correct - 1)
    front = study_front(study, records, tests={(first.record.number, first.point.rule): seen})
    assert front[0].test == seen
    assert all(entry.test is None for entry in front[1:])


def test_latency_intervals_scale_with_the_whole_network():
    record = fake_record(0)
    entry = study_front(fake_study(), [record])[-1]
    whole, latency = record.latency.whole, entry.latency
    assert latency.value == entry.point.latency_ms
    assert latency.low / latency.value == pytest.approx(whole.low / whole.p50)
    assert latency.high / latency.value == pytest.approx(whole.high / whole.p50)
    assert entry.times_reference.value == pytest.approx(latency.value / record.latency.reference.p50)


OTHER_ENGINE = dataclasses.replace(CPU, engine="onnxruntime", engine_version="1.31.1")


@pytest.mark.parametrize("other", [GPU, dataclasses.replace(CPU, torch="2.16.0"), OTHER_ENGINE])
def test_latencies_of_two_machines_or_engines_never_mix(other):
    records = [fake_record(0), fake_record(4, machine=other)]
    with raises_code("machine-differs", where="study digits", mentions=["trial 0: ", "EPYC", "; trial 4: "]) as raised:
        study_front(fake_study(), records)
    assert CPU.label in str(raised.value) and other.label in str(raised.value) and other.torch in str(raised.value)


def test_a_stopped_trial_of_another_machine_is_no_hindrance():
    assert study_front(fake_study(), [fake_record(0), fake_record(1, state="stopped", machine=GPU)])


def test_state_counts():
    assert state_counts(fake_records(3)) == {"complete": 3, "stopped": 2, "infeasible": 1, "failed": 1}


@pytest.mark.parametrize(
    ("candidate", "names"),
    [
        (Candidate(ResNet((1, 1), 4), (Exit(1),)), ["1", "final"]),
        (Candidate(Partitioned(((0, 1), (2,)), ResNet((1,), 4), (ResNet((1,), 4),) * 2)), ["final"]),
        (
            Candidate(
                Partitioned(((0, 1), (2,)), ResNet((1,), 4), (ResNet((1,), 4),) * 2, ResNet((1, 1), 4)), (Exit(2),)
            ),
            ["0", "2", "final"],
        ),
    ],
    ids=["a network", "router and experts", "before a generalist"],
)
def test_exits_are_named_by_their_cuts_and_only_the_last_is_final(candidate, names):
    every = tuple(range(len(names)))
    assert exit_names(candidate, ExitRule("margin", every, (0.5,) * (len(names) - 1))) == names
