"""Legs: a network in pieces under an exit rule, and the routing of one image along them.

Shape suffixes: C channels or classes, H and W pixels.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from searchlab.exits.scores import GATE
from searchlab.operating_point import ExitRule

Call = Callable[..., Any]


class Routable(Protocol):
    """Interface of a network in pieces: an `EarlyExitNetwork`, or its pieces prepared for a device."""

    @property
    def stages(self) -> Iterable[Call]: ...
    @property
    def heads(self) -> Iterable[Call]: ...
    @property
    def cuts(self) -> Sequence[int]: ...
    @property
    def gates(self) -> Iterable[Call]: ...


@dataclass(frozen=True)
class Leg:
    """Segment between two exits in use: its stages, then the head and the condition to leave.

    With a gate, the head is run only for samples that leave.
    """

    stages: tuple[Call, ...]
    head: Call
    gate: Call | None
    exit: int
    threshold: float | None


def legs_of(network: Routable, rule: ExitRule) -> tuple[Leg, ...]:
    """Returns the legs of a rule. Unused heads and gates and later stages are in none."""
    stages, heads, gates = list(network.stages), list(network.heads), list(network.gates)
    legs, begin = [], 0
    for exit, threshold in zip(rule.exits, (*rule.thresholds, None), strict=True):
        end = network.cuts[exit] + 1
        # Every remaining sample leaves at the last exit in use, without a decision.
        gate = gates[exit] if rule.score == GATE and threshold is not None else None
        legs.append(Leg(tuple(stages[begin:end]), heads[exit], gate, exit, threshold))
        begin = end
    return tuple(legs)


def routed(legs: Sequence[Leg], score: Call) -> Callable[[torch.Tensor], tuple[int, int]]:
    """Returns a function from image_1CHW to its class, and the exit (position in the exit table) where it left."""

    def classify(image_1CHW: torch.Tensor) -> tuple[int, int]:
        with torch.inference_mode():
            map_1CHW = image_1CHW
            for leg in legs:
                for stage in leg.stages:
                    map_1CHW = stage(map_1CHW)
                signal = leg.head(map_1CHW) if leg.gate is None else leg.gate(map_1CHW)
                if leg.threshold is None or score(signal).item() >= leg.threshold:
                    logits_1C = signal if leg.gate is None else leg.head(map_1CHW)
                    return int(logits_1C.argmax(dim=1).item()), leg.exit
        raise AssertionError("the last exit in use takes every sample")

    return classify
