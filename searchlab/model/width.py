"""Computes the widest network that meets limits, and by how much a network exceeds them."""

import math
from collections.abc import Callable
from typing import Any

from searchlab.architecture import Architecture, ImageSpec
from searchlab.candidate import Candidate
from searchlab.errors import UserError
from searchlab.limits import Limits
from searchlab.model.cost import network_cost
from searchlab.record import NetworkCost

Probe = tuple[int, float]
"""A width, and the larger share of a cap that its network uses."""


def excess_over(cost: NetworkCost, limits: Limits) -> dict[str, float]:
    """Returns by what share a network exceeds each cap on its size; empty if it meets all."""
    return limits.excess(params=cost.params, macs=cost.macs)


def widest(
    make: Callable[[int], Candidate], images: ImageSpec, limits: Limits, *, start: int, largest: int | None = None
) -> int:
    """Returns the largest width, up to `largest`, for which the candidate of `make` meets the caps on size.

    1 if none does. Without a cap on size, `start`. The search begins at `start`, which does not change the result.
    Costs must not decrease with the width.
    """
    if not limits.cap_size:
        return start

    # The width of `fits` meets the caps, or is 1; that of `over` exceeds them.
    fits, over = 1, math.inf
    last: Probe = (0, 0.0)
    width = start if largest is None else largest
    while over - fits > 1:
        here = width, _used(make(width), images, limits)
        if here[1] > 1:
            over = width
        elif width == largest:
            return width
        elif here[1] == last[1] and width >= 2 * last[0]:
            raise _does_not_grow(make(1).architecture.kind)
        else:
            fits = width
        last, width = here, _next(last, here, fits, over)
    return fits


def _next(before: Probe, last: Probe, fits: int, over: float) -> int:
    """Returns the next width to try, between the bounds, by linear extrapolation of the square roots of two costs.

    Costs grow about with the square of the width, so the line is soon accurate to one channel.
    """
    (width_before, used_before), (width, used) = before, last
    slope = (used**0.5 - used_before**0.5) / (width - width_before)
    if slope > 0:
        # Neighbouring widths can have nearly equal costs: the extrapolated width may then be far too large to build.
        guess = min(width + (1 - used**0.5) / slope, max(2 * width, width / used**0.5))
    else:
        guess = 2 * width if over == math.inf else (fits + over) / 2
    return int(max(fits + 1, min(guess, over - 1)))


def _used(candidate: Candidate, images: ImageSpec, limits: Limits) -> float:
    """Returns the largest ratio of a cost to its cap on size; at most 1 if all caps are met."""
    cost = network_cost(candidate, images)
    pairs = [(limits.max_params, cost.params), (limits.max_macs, cost.macs)]
    return max(value / cap for cap, value in pairs if cap is not None)


def _does_not_grow(kind: str) -> UserError:
    """Makes the error for a cost that does not grow with the width: every width would fit, and the search never end."""
    what, allowed = "the cost of a backbone does not grow with its width", "channels that follow from `width`"
    return UserError("unsupported-network", what, where="architecture", value=kind, allowed=allowed)


def rounded(width: int, multiple: int) -> int:
    """Rounds a width down to a multiple, if it is larger than one multiple."""
    return width - width % multiple if width > multiple else width


def with_width(part: Architecture, where: str) -> Any:
    """Returns the part, if its noun has a width that can be fitted.

    Raises:
        UserError: it has no width; `where` is its role.
    """
    if not hasattr(part, "width"):
        what, allowed = (
            "the backbone has no width that can be fitted to the limits",
            "a backbone whose noun has the field `width`",
        )
        raise UserError("unsupported-network", what, where=where, value=part.kind, allowed=allowed)
    return part
