"""The widest network that holds limits, and what a network exceeds of them."""

import math
from collections.abc import Callable
from typing import Any

from searchlab.architecture import Architecture, ImageSpec, Partitioned
from searchlab.candidate import Candidate
from searchlab.errors import UserError
from searchlab.limits import Limits
from searchlab.model.cost import network_cost, params_of
from searchlab.record import NetworkCost


def excess_over(cost: NetworkCost, limits: Limits) -> dict[str, float]:
    """By what share of the cap a network is over each cap on its size; empty where it holds them all."""
    return limits.excess(params=cost.params, macs=cost.macs)


def widest(
    make: Callable[[int], Candidate], images: ImageSpec, limits: Limits, *, start: int, largest: int | None = None
) -> int:
    """The largest width of which `make` makes a candidate that holds the caps on size, up to `largest`.

    1 where none does. Without a cap on size, `start`. The result does not depend on `start`, where the search begins.
    """
    if not limits.cap_size:
        return start

    def room(width: int) -> float:
        return _room(make(width), images, limits)

    if largest is not None and room(largest) >= 1:
        return largest
    # Costs grow about with the square of the width: three steps land beside the answer, the walk ends on it.
    width = start
    for _ in range(3):
        width = max(1, int(width * room(width) ** 0.5))
    if room(2 * width) == room(width) >= 1:
        # Every width would fit, and the search would never end.
        what, allowed = "the cost of a backbone does not grow with its width", "channels that follow from `width`"
        raise UserError(
            "unsupported-network", what, where="architecture", value=make(1).architecture.kind, allowed=allowed
        )
    while room(width + 1) >= 1:
        width += 1
    while width > 1 and room(width) < 1:
        width -= 1
    return width


def _room(candidate: Candidate, images: ImageSpec, limits: Limits) -> float:
    """The least of cap / figure over the caps on size: at least 1 where a network holds all of them."""
    if limits.max_macs is None and not isinstance(candidate.architecture, Partitioned):
        # Counting parameters alone is half the work.
        pairs = [(limits.max_params, params_of(candidate, images))]
    else:
        cost = network_cost(candidate, images)
        pairs = [(limits.max_params, cost.params), (limits.max_macs, cost.macs)]
    return min((cap / value for cap, value in pairs if cap is not None), default=math.inf)


def rounded(width: int, multiple: int) -> int:
    """The width rounded down to a multiple, where it is larger than one multiple."""
    return width - width % multiple if width > multiple else width


def with_width(part: Architecture, where: str) -> Any:
    """Returns the part, if its noun has a width that can be fitted.

    Raises:
        UserError: it has none; `where` is its role.
    """
    if not hasattr(part, "width"):
        what, allowed = "no base width to fit to the limits", "a backbone whose noun has the field `width`"
        raise UserError("unsupported-network", what, where=where, value=part.kind, allowed=allowed)
    return part
