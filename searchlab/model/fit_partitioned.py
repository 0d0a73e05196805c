"""The widest router, experts and generalist that hold a cap together."""

from dataclasses import replace
from functools import partial

from searchlab.architecture import Backbone, ImageSpec, Partitioned
from searchlab.candidate import Candidate
from searchlab.model.cost import network_cost, room_in, widest, with_width


def fit_partitioned(
    candidate: Candidate, images: ImageSpec, max_params: int | None = None, max_macs: int | None = None
) -> Candidate:
    """All widths times the largest common factor with which the sum of all networks holds the limits.

    The factor is that which brings the widest network to a whole width; the others are rounded down, to 1 at least.
    Without limits the candidate comes back as it is; where not even width 1 fits, with width 1 everywhere.

    Raises:
        UserError: there are limits, and a network has no width to fit.
    """
    if max_params is None and max_macs is None:
        return candidate

    def room(width: int) -> float:
        return room_in(network_cost(_scaled(candidate, width), images), max_params, max_macs)

    return _scaled(candidate, widest(room, start=16))


def _scaled(candidate: Candidate, width: int) -> Candidate:
    """The widest network with this width, the others as much wider or narrower."""
    architecture = candidate.architecture
    assert isinstance(architecture, Partitioned)
    router, experts, generalist = architecture.router, architecture.experts, architecture.generalist
    wide = partial(with_width, where="partition")
    widths = [wide(part).width for part in (router, *experts, *([generalist] if generalist else []))]

    def scaled(part: Backbone) -> Backbone:
        return replace(wide(part), width=max(1, wide(part).width * width // max(widths)))

    architecture = replace(
        architecture,
        router=scaled(router),
        experts=tuple(scaled(expert) for expert in experts),
        generalist=scaled(generalist) if generalist else None,
    )
    return replace(candidate, architecture=architecture)
