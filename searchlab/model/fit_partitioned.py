"""Projection of partitions: the widest router, experts and generalist that together meet a cap."""

from dataclasses import replace
from functools import partial

from searchlab.architecture import Backbone, ImageSpec, Partitioned
from searchlab.candidate import Candidate
from searchlab.limits import Limits
from searchlab.model.width import rounded, widest, with_width


def fit_partitioned(candidate: Candidate, images: ImageSpec, limits: Limits, *, multiple: int = 1) -> Candidate:
    """Scales all widths by the largest common factor with which the sum of all networks meets the caps on size.

    The factor makes the widest network's width an integer; the others are rounded down, to at least 1. Then widths
    above `multiple` are rounded down to a multiple of it. Without a cap on size the candidate is returned unchanged; if
    not even width 1 fits, with width 1 everywhere.

    Raises:
        UserError: there is a cap, but a network has no width.
    """
    if not limits.cap_size:
        return candidate
    width = widest(partial(_scaled, candidate), images, limits, start=16)
    return _scaled(candidate, width, multiple)


def _scaled(candidate: Candidate, width: int, multiple: int = 1) -> Candidate:
    """Sets the width of the widest network, and scales the others by the same factor."""
    architecture = candidate.architecture
    assert isinstance(architecture, Partitioned)
    router, experts, generalist = architecture.router, architecture.experts, architecture.generalist
    wide = partial(with_width, where="partition")
    widths = [wide(part).width for part in (router, *experts, *([generalist] if generalist else []))]

    def scaled(part: Backbone) -> Backbone:
        fitted: Backbone = replace(wide(part), width=rounded(max(1, wide(part).width * width // max(widths)), multiple))
        return fitted

    architecture = replace(
        architecture,
        router=scaled(router),
        experts=tuple(scaled(expert) for expert in experts),
        generalist=scaled(generalist) if generalist else None,
    )
    return replace(candidate, architecture=architecture)
