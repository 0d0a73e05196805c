"""The widest router, experts and generalist that hold a cap together."""

from dataclasses import replace
from functools import partial

from searchlab.architecture import Backbone, ImageSpec, Partitioned
from searchlab.candidate import Candidate
from searchlab.limits import Limits
from searchlab.model.width import rounded, widest, with_width


def fit_partitioned(candidate: Candidate, images: ImageSpec, limits: Limits, *, multiple: int = 1) -> Candidate:
    """All widths times the largest common factor with which the sum of all networks holds the caps on size.

    The factor is that which brings the widest network to a whole width; the others are rounded down, to 1 at least.
    Then each is rounded down to a multiple of `multiple`, where it is larger. Without a cap on size the candidate comes
    back as it is; where not even width 1 fits, with width 1 everywhere.

    Raises:
        UserError: there is a cap, and a network has no width to fit.
    """
    if not limits.cap_size:
        return candidate
    width = widest(partial(_scaled, candidate), images, limits, start=16)
    return _scaled(candidate, width, multiple)


def _scaled(candidate: Candidate, width: int, multiple: int = 1) -> Candidate:
    """The widest network with this width, the others as much wider or narrower."""
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
