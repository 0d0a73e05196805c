"""Reading of the device profiles of a stored study."""

from searchlab.report.profiles import Profiled
from searchlab.search.profiles import profile_named, profiles_of
from searchlab.session.found import Found


def profiles_found(found: Found) -> list[Profiled]:
    """Returns every profile of a study with its records and its front, the oldest first."""
    names = [profile.name for profile in profiles_of(found.store)]
    return [_profiled(found, name) for name in names]


def _profiled(found: Found, name: str) -> Profiled:
    seen = found.profiled(name)
    return Profiled(profile_named(found.store, name), seen.records, seen.front(None))
