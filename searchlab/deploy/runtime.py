"""Early exits for real: what a sample does not need is not run.

Shape suffixes: N images, C channels or classes, H and W pixels.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from searchlab.deploy.scores import SCORE_FUNCTIONS
from searchlab.errors import UserError, unknown
from searchlab.operating_point import ExitRule

Call = Callable[..., Any]


class Routable(Protocol):
    """A network in pieces: an `EarlyExitNetwork`, or the same pieces prepared for a device."""

    @property
    def stages(self) -> Iterable[Call]: ...
    @property
    def heads(self) -> Iterable[Call]: ...
    @property
    def cuts(self) -> Sequence[int]: ...


@dataclass(frozen=True)
class _Leg:
    """The way from one exit in use to the next: the stages between them, then the head and what it takes to leave."""

    stages: tuple[Call, ...]
    head: Call
    exit: int
    threshold: float | None


class EarlyExitRuntime:
    """A network under an exit rule. Heads not in use and stages after the last exit in use are never run.

    A module is put into eval mode. Pieces captured for one shape (CUDA graphs) serve `classify` alone.
    """

    def __init__(self, network: Routable, rule: ExitRule) -> None:
        """Raise UserError where the rule names a score or an exit that is not there."""
        if rule.score not in SCORE_FUNCTIONS:
            raise unknown("score", rule.score, SCORE_FUNCTIONS, where="exit rule")
        if rule.exits[-1] >= len(network.cuts):
            raise UserError(
                "no such exit", where="exit rule", value=rule.exits[-1], allowed=f"0 to {len(network.cuts) - 1}"
            )
        if isinstance(network, nn.Module):
            network.eval()
        self.rule = rule
        self._score = SCORE_FUNCTIONS[rule.score]
        self._legs = _legs(network, rule)

    def classify(self, image_1CHW: torch.Tensor) -> tuple[int, int]:
        """The class of one image, and the exit (its position in the exit table) where it left."""
        with torch.inference_mode():
            map_1CHW = image_1CHW
            for leg in self._legs:
                for stage in leg.stages:
                    map_1CHW = stage(map_1CHW)
                logits_1C = leg.head(map_1CHW)
                if leg.threshold is None or self._score(logits_1C).item() >= leg.threshold:
                    return int(logits_1C.argmax(dim=1).item()), leg.exit
        raise AssertionError("the last leg takes everyone")

    def classify_batch(self, images_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """class_N and exit_N (positions in the exit table): after every exit, only those who stay go on."""
        class_N = images_NCHW.new_empty(len(images_NCHW), dtype=torch.long)
        exit_N = torch.empty_like(class_N)
        stay = torch.arange(len(images_NCHW), device=images_NCHW.device)
        with torch.inference_mode():
            map_NCHW = images_NCHW
            for leg in self._legs:
                if len(stay) == 0:
                    break
                for stage in leg.stages:
                    map_NCHW = stage(map_NCHW)
                logits_NC = leg.head(map_NCHW)
                leaves_N = self._leaves(logits_NC, leg.threshold)
                class_N[stay[leaves_N]] = logits_NC[leaves_N].argmax(dim=1)
                exit_N[stay[leaves_N]] = leg.exit
                stay, map_NCHW = stay[~leaves_N], map_NCHW[~leaves_N]
        return class_N, exit_N

    def _leaves(self, logits_NC: torch.Tensor, threshold: float | None) -> torch.Tensor:
        if threshold is None:
            return torch.ones(len(logits_NC), dtype=torch.bool, device=logits_NC.device)
        return self._score(logits_NC) >= threshold


def _legs(network: Routable, rule: ExitRule) -> tuple[_Leg, ...]:
    stages, heads = list(network.stages), list(network.heads)
    legs, begin = [], 0
    for exit, threshold in zip(rule.exits, (*rule.thresholds, None), strict=True):
        end = network.cuts[exit] + 1
        legs.append(_Leg(tuple(stages[begin:end]), heads[exit], exit, threshold))
        begin = end
    return tuple(legs)
