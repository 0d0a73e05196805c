"""How many examples a property test tries."""

from hypothesis import settings

FULL = 100


def examples(count: int) -> settings:
    """So many in `make test`; in `make quick` (`--hypothesis-profile=quick`) the profile's share of them."""
    return settings(max_examples=max(5, count * settings.default.max_examples // FULL))
