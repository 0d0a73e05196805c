"""Segments: a network as a sequence of callables for timing or routing, in eval mode, captured on CUDA.

Shape suffixes: N images, C channels, H and W pixels.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.model.heads import LearnedGate

Call = Callable[[torch.Tensor], torch.Tensor]

Step = tuple[Call, Call | None]
"""A stage, and the head or gate on its cut, if any."""


@dataclass(frozen=True)
class Segments:
    """Callables of every stage, head and gate, and each head's cut: the interface to timing and routing.

    Called inside `torch.inference_mode()`. On CUDA they are graphs, captured for the one shape they were made with.
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


def segments_of(network: EarlyExitNetwork, image_NCHW: torch.Tensor, *, channels_last: bool) -> Segments:
    """Copies the network to the image's device in the given layout; the original is unchanged."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = copy.deepcopy(network).to(image_NCHW.device).to(memory_format=layout).eval()
    network.gates = nn.ModuleList(cast(LearnedGate, gate).folded() for gate in network.gates)
    if image_NCHW.device.type != "cuda":
        return Segments(list(network.stages), list(network.heads), network.cuts, list(network.gates))
    with torch.inference_mode(), torch.cuda.device(image_NCHW.device):
        return _captured(network, image_NCHW)


class _Replay:
    """A module as a CUDA graph with a fixed input and a fixed output tensor."""

    def __init__(self, module: nn.Module, static_input: torch.Tensor) -> None:
        # Libraries choose their algorithms in the first calls, outside the capture.
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                module(static_input)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self.output: torch.Tensor = module(static_input)

    def __call__(self, _: torch.Tensor) -> torch.Tensor:
        self._graph.replay()
        return self.output


class _Entry:
    """First stage: copies the sample into the input tensor of the graphs."""

    def __init__(self, static_input: torch.Tensor, first: Call) -> None:
        self._static_input, self._first = static_input, first

    def __call__(self, image_NCHW: torch.Tensor) -> torch.Tensor:
        self._static_input.copy_(image_NCHW, non_blocking=True)
        return self._first(self._static_input)


def _captured(network: EarlyExitNetwork, image_NCHW: torch.Tensor) -> Segments:
    """Captures a graph per stage, head and gate; each reads the output of the one before without a copy."""
    static_input = image_NCHW.clone()
    stages: list[Call] = []
    maps = [static_input]
    for stage in network.stages:
        assert isinstance(stage, nn.Identity) or _capturable(stage), "stages must not depend on the image"
        call = _call(stage, maps[-1])
        stages.append(call)
        maps.append(call.output if isinstance(call, _Replay) else maps[-1])
    stages[0] = _Entry(static_input, stages[0])
    at_cuts = [maps[cut + 1] for cut in network.cuts]
    heads = [_call(head, map_NCHW) for head, map_NCHW in zip(network.heads, at_cuts, strict=True)]
    gates = [_call(gate, map_NCHW) for gate, map_NCHW in zip(network.gates, at_cuts, strict=False)]
    return Segments(stages, heads, network.cuts, gates)


def _call(module: nn.Module, static_input: torch.Tensor) -> Call:
    """Captures a graph of the module; returns the module itself if it is empty or cannot be captured."""
    return _Replay(module, static_input) if _capturable(module) else module


def _capturable(module: nn.Module) -> bool:
    """Whether a graph can capture the module: routed experts are data-dependent and cannot."""
    return bool(getattr(module, "capturable", not isinstance(module, nn.Identity)))
