"""Parameters of a test of which `make quick` tries a few, and `make test` all."""

from collections.abc import Hashable, Iterable

import pytest


def quick_part(values: Iterable[Hashable], quick: Iterable[Hashable]) -> list:
    """The values; all but those in `quick` are marked slow."""
    values, quick = list(values), set(quick)
    assert quick <= set(values)
    return [value if value in quick else pytest.param(value, marks=pytest.mark.slow) for value in values]
