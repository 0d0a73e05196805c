"""Reading of the device profiles of a stored study."""

from searchlab.report.profiles import Profiled
from searchlab.search.profiles import OWN, profile_named, profiles_of
from searchlab.session.found import Found


def profiles_found(found: Found) -> list[Profiled]:
    """Returns every profile of a study with its records and its front, the oldest first."""
    names = [profile.name for profile in profiles_of(found.store)]
    return [_profiled(found, name) for name in names]


def check_profiles(found: Found, names: list[str]) -> None:
    """Raises UserError if the study lacks one of these profiles; "study" is the study's own latencies."""
    for name in names:
        if name != OWN:
            profile_named(found.store, name)


def _profiled(found: Found, name: str) -> Profiled:
    seen = found.profiled(name)
    return Profiled(profile_named(found.store, name), seen.records, seen.front(None))
