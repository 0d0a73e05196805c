"""Engine "cuda-graphs": PyTorch on a GPU, every piece of a network captured as a CUDA graph.

Shape suffixes: N images, C channels, H and W pixels.
"""

import torch
from torch import nn

from searchlab.engines.segments import Call, Segments
from searchlab.engines.torch_eager import TorchEager, deployable
from searchlab.model.early_exit import EarlyExitNetwork


class CudaGraphs(TorchEager):
    """Pieces captured as CUDA graphs, in PyTorch on a GPU.

    Inputs are static. The scalar of a decision is copied back.
    """

    devices = ("cuda",)

    def segments(self, network: EarlyExitNetwork, image_NCHW: torch.Tensor, *, channels_last: bool) -> Segments:
        """The pieces of a copy of the network, captured."""
        return captured_segments(network, image_NCHW, channels_last=channels_last)


def captured_segments(network: EarlyExitNetwork, image_NCHW: torch.Tensor, *, channels_last: bool) -> Segments:
    """Captures a copy of the network on the image's device in the given layout; the original is unchanged."""
    network = deployable(network, image_NCHW.device, channels_last=channels_last)
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
