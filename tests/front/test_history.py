from dataclasses import replace
from random import Random

import pytest
from fake_records import CPU, GPU, SAMPLES, fake_point, fake_record, fake_study
from hypothesis import given
from hypothesis import strategies as st

from searchlab.front.history import SearchHistory
from searchlab.front.points import study_front, study_hypervolume

STATES = ("complete", "stopped", "infeasible", "failed")
SETS = [("accuracy", "latency_ms"), ("accuracy", "macs"), ("macs", "accuracy", "params"), ("macs", "params")]


def history(states, seed: int = 0):
    """Records of trials that ended in an order of their own, each after so many epochs."""
    chance = Random(seed)
    records = [fake_record(number, state=state) for number, state in enumerate(states)]
    records = [
        replace(record, epochs=0 if record.state == "infeasible" else chance.randrange(30)) for record in records
    ]
    return chance.sample(records, len(records))


@given(st.lists(st.sampled_from(STATES), max_size=8), st.sampled_from(SETS), st.integers(0, 99))
def test_every_step_is_what_the_records_so_far_say(states, objectives, seed):
    study, records = fake_study(*objectives, max_params=None, min_accuracy=0.9), history(states, seed)
    growth = SearchHistory(study)
    for record in records:
        growth.add(record)
    first = min((r for r in records if r.state == "complete"), key=lambda record: record.number, default=None)
    for end, step in enumerate(growth.steps, start=1):
        so_far = records[:end]
        assert step.record == records[end - 1]
        assert step.trained == sum(record.epochs > 0 for record in so_far)
        assert step.epochs == sum(record.epochs for record in so_far)
        assert step.training == sum(record.epochs * record.cost.macs for record in so_far)
        # The first complete trial by number fixes the units, for what ended before it too.
        units = [] if first in so_far or first is None else [replace(first, frontier=None)]
        assert step.hypervolume == pytest.approx(study_hypervolume(study, [*so_far, *units]), abs=1e-12)
    volumes = [step.hypervolume for step in growth.steps]
    assert volumes == sorted(volumes)
    assert len(growth.steps) == len(records) and (growth.last is None) == (not records)


@given(st.lists(st.sampled_from(STATES), max_size=8), st.integers(0, 99))
def test_records_at_once_give_the_same_steps_as_one_by_one(states, seed):
    study, records = fake_study(max_params=None), history(states, seed)
    growth = SearchHistory(study)
    for record in records:
        growth.add(record)
    assert growth.steps == SearchHistory(study, records).steps


def one_point(correct: int, latency_ms: float = 0.4):
    return fake_record(0, [fake_point(correct, 1e6, 1000, latency_ms)])


def test_noise_is_what_one_standard_error_of_accuracy_does_to_the_hypervolume():
    growth = SearchHistory(fake_study(max_latency_ms=0.4), [one_point(270)])
    # The point is as dear as the limit, so half of the axis of cost is its own.
    binomial = (0.75 * 0.25 / SAMPLES) ** 0.5
    assert growth.last.hypervolume == pytest.approx(0.75 / 2)
    assert growth.noise == pytest.approx(binomial / 2, rel=0.02)


def test_noise_does_not_vanish_where_all_is_right_and_shrinks_with_the_samples():
    study = fake_study(max_latency_ms=0.4)
    whole = one_point(SAMPLES)
    (point,) = whole.frontier.points
    more = replace(point, samples=100 * SAMPLES, correct=100 * SAMPLES, correct_per_exit=(18000, 18000))
    larger = replace(whole, frontier=replace(whole.frontier, points=(more,)))
    assert SearchHistory(study, [whole]).noise > 10 * SearchHistory(study, [larger]).noise > 0


def test_there_is_no_noise_without_a_front_or_without_accuracy():
    assert (
        SearchHistory(fake_study()).noise == SearchHistory(fake_study(), [fake_record(0, state="failed")]).noise == 0.0
    )
    assert SearchHistory(fake_study("macs", "params"), [fake_record(0)]).noise == 0.0


def test_a_trials_own_hypervolume_is_that_of_a_study_of_it_alone():
    study = fake_study(max_latency_ms=0.4)
    records = [fake_record(number) for number in range(3)]
    growth = SearchHistory(study, records)
    for record in records:
        assert growth.own(record) == pytest.approx(study_hypervolume(study, [record]))
    assert growth.own(fake_record(4, state="stopped")) == 0.0


def test_units_are_frozen_by_the_first_complete_trial():
    study = fake_study(max_params=None)
    growth = SearchHistory(study, [fake_record(2, state="failed"), fake_record(1)])
    units = growth.cost_scales
    growth.add(fake_record(3, machine=replace(CPU, name="faster")))
    growth.add(fake_record(4, state="stopped", machine=GPU))
    assert growth.cost_scales == units == {"latency_ms": fake_record(1).latency.reference.p50}


def test_the_history_owns_records_front_and_hypervolume():
    study, records = fake_study(max_params=None), [fake_record(0), fake_record(1, state="failed"), fake_record(2)]
    history_so_far = SearchHistory(study)
    assert (history_so_far.records, history_so_far.hypervolume) == ([], 0.0)
    for record in records:
        history_so_far.add(record)
    assert history_so_far.records == records
    assert history_so_far.hypervolume == pytest.approx(study_hypervolume(study, records), abs=1e-12)
    front = [(entry.record, entry.point) for entry in study_front(study, records, most=None)]
    assert history_so_far.front == front


def test_of_equal_points_that_of_the_first_trial_by_number_stays_whichever_ended_first():
    """The watch and the command `front` would else name different trials."""
    study, points = fake_study(), [fake_point(300, 1e6, 1000, 1.0)]
    history_so_far = SearchHistory(study, [fake_record(7, points), fake_record(3, points)])
    assert [record.number for record, _ in history_so_far.front] == [3]
    assert [entry.record.number for entry in study_front(study, history_so_far.records)] == [3]


def test_who_reads_while_the_scales_change_sees_all_steps_or_all_new_ones():
    """A watch draws from another thread than the one that adds."""
    study = fake_study()
    history_so_far = SearchHistory(study, [fake_record(2)])
    before = history_so_far.steps
    faster = fake_record(1)
    latency = replace(faster.latency, reference=replace(faster.latency.reference, p50=0.01))
    history_so_far.add(replace(faster, latency=latency))
    assert len(before) == 1 and len(history_so_far.steps) == 2 and history_so_far.steps[0] != before[0]
