import pytest
from fake_records import fake_record
from profiled import made_study
from raises import raises_code

from searchlab.record import DeviceProfile, ProfiledTrial, TimeUnit
from searchlab.search.profiles import (
    OWN,
    add_profiled,
    check_name,
    fix_profile,
    profile_named,
    profiled,
    profiled_trials,
    profiles_of,
)

RECORD = fake_record(0)
TORCH = DeviceProfile("torch", TimeUnit.of(RECORD.latency), "2026-01-02T00:00:00+00:00")


@pytest.fixture
def store(tmp_path):
    return made_study(tmp_path / "runs", trials=2)[0]


def test_a_study_has_no_profile_at_first(store):
    assert profiles_of(store) == [] and profiled_trials(store, "torch") == {}
    with raises_code("unknown-profile", where="study tiny", value="torch"):
        profiled(store, store.records(), "torch")


def test_of_two_processes_that_begin_a_profile_the_first_counts(store):
    later = DeviceProfile("torch", TimeUnit("resnet8", 9.0, RECORD.latency.machine), "2026-01-03T00:00:00+00:00")
    assert fix_profile(store, TORCH) == TORCH
    assert fix_profile(store, later) == TORCH == profile_named(store, "torch")


def test_profiles_of_similar_names_do_not_share_networks(store):
    measured = ProfiledTrial(1, RECORD.latency, RECORD.frontier)
    for name in ("torch", "torch-2"):
        fix_profile(store, DeviceProfile(name, TORCH.unit, TORCH.when))
    add_profiled(store, "torch-2", measured)
    assert profiled_trials(store, "torch") == {} and profiled_trials(store, "torch-2") == {1: measured}
    zero, one = profiled(store, store.records(), "torch-2")
    assert zero.frontier is zero.latency is None and one.frontier == measured.frontier


@pytest.mark.parametrize("name", ["", OWN, "a/b", "../x", "-x", "a b", "ä", "x" * 65, "a\n"])
def test_names_that_could_not_be_file_names_or_options(name):
    with raises_code("invalid-profile-name"):
        check_name(name)
