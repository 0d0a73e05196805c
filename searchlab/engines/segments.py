"""Segments: a network as a row of callables, for engines whose pieces can be run, and timed, one by one.

Shape suffixes: N images, C channels or classes, H and W pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from searchlab.engines.engine import Pass, Run, Score, Stamp
from searchlab.engines.route import Route
from searchlab.exits.scores import GATE

Call = Callable[[torch.Tensor], torch.Tensor]

Step = tuple[Call, Call | None]
"""A stage, and the head or gate on its cut, if any."""

Piece = tuple[str, int]
"""A kind ("stage", "head", "gate", "decision", "class") and which one: the cut or the exit."""


@dataclass(frozen=True)
class Segments:
    """Callables of every stage, head and gate, and each head's cut: the interface to timing and routing.

    Called inside `torch.inference_mode()`. CUDA graphs are captured for the one shape that they were made with.
    """

    stages: Sequence[Call]
    heads: Sequence[Call]
    cuts: tuple[int, ...]
    gates: Sequence[Call] = ()

    @property
    def steps(self) -> list[Step]:
        """Every stage with the head on its cut, or None."""
        head_of = dict(zip(self.cuts, self.heads, strict=True))
        return [(stage, head_of.get(cut)) for cut, stage in enumerate(self.stages)]

    @property
    def gate_steps(self) -> list[Step]:
        """Every stage with the gate on its cut, or None."""
        gate_of = dict(zip(self.cuts, self.gates, strict=False))
        return [(stage, gate_of.get(cut)) for cut, stage in enumerate(self.stages)]

    def whole(self, image_NCHW: torch.Tensor) -> torch.Tensor:
        """Every stage and the final head: logits_NC of the network without exits."""
        map_NCHW = image_NCHW
        for stage in self.stages:
            map_NCHW = stage(map_NCHW)
        return self.heads[-1](map_NCHW)


def route_pass(segments: Segments, image_NCHW: torch.Tensor, route: Route, score: Score) -> Pass:
    """Makes a pass over the pieces of a route, as in deployment: with "gate", the gates up to the exit and one head."""
    steps = _steps(segments, route)
    taken = None if steps[-1][1] is segments.heads[route.exit] else segments.heads[route.exit]

    def run(stamp: Stamp) -> None:
        with torch.inference_mode():
            map_NCHW = output_NC = image_NCHW
            for stage, decider in steps:
                map_NCHW = stage(map_NCHW)
                stamp()
                if decider is not None:
                    output_NC = decider(map_NCHW)
                    stamp()
                    _ = score(output_NC).tolist()[0] >= 0.0
                    stamp()
            if taken is not None:
                output_NC = taken(map_NCHW)
                stamp()
            output_NC.argmax(dim=1).tolist()

    return run


def route_pieces(segments: Segments, route: Route) -> list[Piece]:
    """Lists the pieces of a route's pass."""
    kind = "gate" if route.score == GATE else "head"
    exit_at = {cut: exit for exit, cut in enumerate(segments.cuts)}
    pieces: list[Piece] = []
    for cut, (_, decider) in enumerate(_steps(segments, route)):
        pieces.append(("stage", cut))
        if decider is not None:
            pieces += [(kind, exit_at[cut]), ("decision", exit_at[cut])]
    taken: list[Piece] = [] if ("head", route.exit) in pieces else [("head", route.exit)]
    return [*pieces, *taken, ("class", 0)]


def run_without_exits(segments: Segments) -> Run:
    """Returns a function from image_1CHW to the class by the final head."""

    def run(image_1CHW: torch.Tensor) -> int:
        with torch.inference_mode():
            return int(segments.whole(image_1CHW).argmax(dim=1).item())

    return run


def _steps(segments: Segments, route: Route) -> list[Step]:
    """Returns every stage of the route, with the deciding head or gate after it."""
    end = segments.cuts[route.exit] + 1
    if route.score is None:
        return [(stage, None) for stage in segments.stages[:end]]
    return (segments.gate_steps if route.score == GATE else segments.steps)[:end]
