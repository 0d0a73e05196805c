"""The widest network that holds limits, and what a network exceeds of them."""

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
    """By what share of the cap a network is over each cap on its size; empty where it holds them all."""
    return limits.excess(params=cost.params, macs=cost.macs)


def widest(
    make: Callable[[int], Candidate], images: ImageSpec, limits: Limits, *, start: int, largest: int | None = None
) -> int:
    """The largest width of which `make` makes a candidate that holds the caps on size, up to `largest`.

    1 where none does. Without a cap on size, `start`. The result does not depend on `start`, where the search begins.
    Costs must not fall where the width grows.
    """
    if not limits.cap_size:
        return start

    # The width of `fits` holds the caps, or is 1; that of `over` does not.
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
    """The next width to try, between the bounds: where a straight line through the roots of two costs meets the cap.

    Costs grow about with the square of the width, so the line is soon accurate to one channel.
    """
    (width_before, used_before), (width, used) = before, last
    slope = (used**0.5 - used_before**0.5) / (width - width_before)
    if slope > 0:
        # Two neighbours can cost nearly the same: what their line promises may be far too wide to be built.
        guess = min(width + (1 - used**0.5) / slope, max(2 * width, width / used**0.5))
    else:
        guess = 2 * width if over == math.inf else (fits + over) / 2
    return int(max(fits + 1, min(guess, over - 1)))


def _used(candidate: Candidate, images: ImageSpec, limits: Limits) -> float:
    """The largest of figure / cap over the caps on size: at most 1 where a network holds all of them."""
    cost = network_cost(candidate, images)
    pairs = [(limits.max_params, cost.params), (limits.max_macs, cost.macs)]
    return max(value / cap for cap, value in pairs if cap is not None)


def _does_not_grow(kind: str) -> UserError:
    """Every width would fit, and the search would never end."""
    what, allowed = "the cost of a backbone does not grow with its width", "channels that follow from `width`"
    return UserError("unsupported-network", what, where="architecture", value=kind, allowed=allowed)


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
