"""Device profiles in the store: attributes of the study, one a profile and one a network, removed with the study.

Every network has an attribute of its own, so a killed process loses one measurement at most.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from searchlab.errors import UserError, unknown
from searchlab.record import DeviceProfile, ProfiledTrial, TrialRecord
from searchlab.search.attributes import read_noun, write_noun
from searchlab.search.storage import storage_errors
from searchlab.search.store import StudyStore

PROFILE, PROFILED = "profile ", "profiled "
"""Prefixes of the study's attributes: of a profile, its name follows; of a network, "NAME/TRIAL"."""

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

OWN = "study"
"""Name that stands for the latencies of the search itself."""


def check_name(name: str) -> None:
    """Raises UserError if a profile cannot have this name, which is part of file names."""
    if name == OWN or not re.fullmatch(NAME, name):
        allowed = f"letters, digits and . _ - after a letter or digit; {OWN!r} is the search itself"
        raise UserError("invalid-profile-name", "invalid name", where="--name", value=name, allowed=allowed)


def profiles_of(store: StudyStore) -> list[DeviceProfile]:
    """Returns the profiles of a study, the oldest first."""
    with storage_errors(store.url):
        attributes = store.optuna.user_attrs
    names = profile_names(attributes)
    found = [read_noun(DeviceProfile, attributes, f"{PROFILE}{name}", store.where) for name in names]
    return sorted(found, key=lambda profile: (profile.when, profile.name))


def profile_names(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the names of a study's profiles from its raw attributes, in alphabetical order."""
    return tuple(sorted(name.removeprefix(PROFILE) for name in attributes if name.startswith(PROFILE)))


def profile_named(store: StudyStore, name: str) -> DeviceProfile:
    """Returns the profile of that name.

    Raises:
        UserError: the study has none of this name; the error lists the known ones.
    """
    known = {profile.name: profile for profile in profiles_of(store)}
    if name not in known:
        study = store.optuna.study_name
        besides = f"measure one with `searchlab profile {study}`"
        raise unknown("profile", name, known, where=f"study {study}", besides=besides)
    return known[name]


def fix_profile(store: StudyStore, profile: DeviceProfile) -> DeviceProfile:
    """Stores a profile if the study has none of its name; returns the one that holds, perhaps another process's."""
    attribute = f"{PROFILE}{profile.name}"
    with storage_errors(store.url):
        if attribute not in store.optuna.user_attrs:
            write_noun(store.optuna.set_user_attr, attribute, profile)
    return profile_named(store, profile.name)


def profiled_trials(store: StudyStore, name: str) -> dict[int, ProfiledTrial]:
    """Returns what is measured in a profile, by the number of the trial."""
    begin = f"{PROFILED}{name}/"
    with storage_errors(store.url):
        attributes = store.optuna.user_attrs
    names = sorted(each for each in attributes if each.startswith(begin))
    found = [read_noun(ProfiledTrial, attributes, each, store.where) for each in names]
    return {each.trial: each for each in found}


def add_profiled(store: StudyStore, name: str, measured: ProfiledTrial) -> None:
    """Stores a network's latency and frontier in a profile."""
    with storage_errors(store.url):
        write_noun(store.optuna.set_user_attr, f"{PROFILED}{name}/{measured.trial:06d}", measured)


def with_profile(record: TrialRecord, measured: ProfiledTrial) -> TrialRecord:
    """Returns a record with the latency and frontier of a profile; complete, if only its latency was missing."""
    return replace(record, state="complete", reason="", latency=measured.latency, frontier=measured.frontier)


def profiled(store: StudyStore, records: Sequence[TrialRecord], name: str) -> list[TrialRecord]:
    """Returns the ended trials of a study as a profile knows them; what it did not measure has no frontier.

    Raises:
        UserError: the study has no profile of this name.
    """
    profile_named(store, name)
    known = profiled_trials(store, name)
    ended = [record for record in records if record.state not in ("running", "interrupted")]
    return [
        with_profile(record, known[record.number])
        if record.number in known
        else replace(record, latency=None, frontier=None)
        for record in ended
    ]
