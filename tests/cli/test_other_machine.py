"""A store that holds points which were measured again on two machines, as could happen once."""

from dataclasses import replace
from pathlib import Path

import pytest
from fake_records import CPU, GPU, fake_record, fake_study

from searchlab import record as nouns
from searchlab.front.points import study_front
from searchlab.search.definition import Definition
from searchlab.search.storage import open_storage
from searchlab.search.store import StudyStore
from searchlab.serialization import to_plain
from searchlab.trial_files import WEIGHTS


@pytest.fixture
def mixed(folder):
    """The looks of the four points that `front --points 4` chooses: two on a CPU, the others on a GPU, of one trial."""
    study, url = fake_study(), "sqlite:///runs/studies.db"
    store = StudyStore.create(Definition(study, study, ""), open_storage(url, create=True), url)
    record = fake_record(0, machine=CPU)
    store.finish(store.optuna.ask(), record, [0.9, 1.0])
    points = [point.point for point in study_front(study, [record], most=4)]
    assert len(points) == 4
    gpu = replace(record.latency, machine=GPU)
    looks = [
        nouns.TestLook(0, "2026-01-01T00:00:00+00:00", latency, tuple(seen), tuple(seen))
        for latency, seen in ((record.latency, points[:2]), (gpu, points[2:]))
    ]
    store.optuna.set_user_attr("test_looks", [to_plain(look) for look in looks])
    weights = Path("runs/digits/trial-00000") / WEIGHTS
    weights.parent.mkdir(parents=True)
    weights.touch()
    return store


@pytest.mark.slow
def test_a_front_of_two_machines_opens_with_the_first_ones_points_and_says_so(mixed, searchlab):
    for command in (("front", "digits", "--test", "--points", 4), ("show", 1, "digits", "--test")):
        answer = searchlab(*command)
        assert answer.code == 0 and "NVIDIA" not in answer.out
        assert answer.err.startswith("omitted: ") and "NVIDIA H200" in answer.err and answer.err.count("\n") == 1
    points = searchlab("front", "digits", "--test", "--points", 4, "--json").json
    assert len(points["points"]) == 2 and points["trials"] == {"complete": 1}


def test_new_points_on_a_third_machine_are_refused_before_anything_is_measured(mixed, searchlab):
    answer = searchlab("front", "digits", "--test", "--points", 8)
    answer.fails("machine-differs", mentions="AMD EPYC 7763")
    assert "Measuring" not in answer.out
    assert len(mixed.looks()) == 2 and not Path("runs/digits/study.json").exists()
