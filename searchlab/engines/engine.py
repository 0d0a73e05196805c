"""The interface of an engine: a network becomes passes to time, and a function that routes images by a rule.

Shape suffixes: N images, C channels or classes, H and W pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

import torch

from searchlab.engines.route import Route
from searchlab.errors import UserError
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.operating_point import ExitRule
from searchlab.record import SegmentLatency

Score = Callable[[torch.Tensor], torch.Tensor]
"""logits_NC to score_N; for the score "gate", gate_N1 to score_N."""

Stamp = Callable[[], None]
"""Called after every piece of a pass but the last: a clock reads the time."""

Pass = Callable[[Stamp], None]
"""One pass, from the image to the class on the host. No work is pending after it."""

Run = Callable[[Any], object]
"""Function from one image, as the engine takes it (`Prepared.taken`), to a result on the host."""


@dataclass(frozen=True)
class EngineOptions:
    """How a network is prepared: the engine's threads on a CPU, and the layout of images and weights.

    `channels_last` None lets the measurement try both. Engines with a layout of their own ignore it. Engines that take
    pixels normalise them by `mean` and `std` of every channel; empty: by any, where only latency is of interest.
    """

    threads: int = 1
    channels_last: bool | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


def package(name: str, install: str) -> ModuleType:
    """Imports the package of an engine.

    Raises:
        UserError: it is not installed; the message has the command that installs it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise UserError("engine-missing", "missing package", where="engine", value=name, allowed=install) from error


class Prepared(Protocol):
    """A network that is ready to run in one engine, on one device, for one shape of images."""

    @property
    def cuts(self) -> tuple[int, ...]:
        """The cut of every exit; the number of exits is its length."""

    def whole(self) -> Pass:
        """A pass of the network without exits: all stages and the final head."""

    def route(self, route: Route) -> Pass:
        """A pass along a route; `ms` of `prices` has as many times as it has pieces."""

    def routes(self) -> Sequence[Route]:
        """The routes whose passes `prices` needs."""

    def prices(self, ms: Mapping[Route, Sequence[float]]) -> SegmentLatency:
        """What every stage, head, gate and decision costs, from the milliseconds of the pieces of every route's pass.

        For rules with all exits in use, or with a single exit, the costs add up to the measured times.
        """

    def priced(self, prices: SegmentLatency, route: Route) -> float:
        """What the prices say of a route's pass, in milliseconds."""

    def mixed(self) -> Sequence[tuple[Route, Pass]]:
        """Samples that leave at different exits, one after the other, as deployed: the route of each, and its pass."""

    def taken(self, image_1CHW: torch.Tensor) -> Any:
        """The image in the form that `routed` takes: what a program that deploys the network has at hand."""

    def routed(self, rule: ExitRule) -> Run:
        """The network under an exit rule, as it is deployed: from one image to its class and its exit."""

    def plain(self) -> Run:
        """The network without exits, as it is deployed: from one image to its class by the final head."""


class Engine(Protocol):
    """What executes networks. An instance has no state: the names and versions of what is installed."""

    @property
    def devices(self) -> tuple[str, ...]:
        """Types of devices that it runs on ("cpu", "cuda"); the first one where the trial's own is none of them."""

    def threads(self) -> int:
        """Threads on a CPU where no number is asked for."""

    def version(self) -> str:
        """The version of what executes.

        Raises:
            UserError: its package is missing; the message says how to install it.
        """

    def variants(
        self,
        network: EarlyExitNetwork,
        image_NCHW: torch.Tensor,
        scores: Mapping[str, Score],
        options: EngineOptions,
    ) -> Sequence[Prepared]:
        """The ways to run a network for images of this shape, on the image's device; the fastest is to be used.

        The network stays as it is. `scores` are those that its rules may decide by.

        Raises:
            UserError: the package is missing, or the engine cannot run a layer of the network.
        """
