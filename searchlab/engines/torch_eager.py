"""Engine "torch": PyTorch in eager mode, a module call for every piece of a network.

Shape suffixes: N images, C channels, H and W pixels.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import nn

from searchlab.engines.engine import EngineOptions, Score
from searchlab.engines.prepared_segments import PreparedSegments
from searchlab.engines.segments import Segments
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.model.heads import LearnedGate


class TorchEager:
    """Modules called one by one, in PyTorch."""

    devices: tuple[str, ...] = ("cpu", "cuda")

    def threads(self) -> int:
        """As many as torch has."""
        return torch.get_num_threads()

    def version(self) -> str:
        """The version of torch, which says that of CUDA."""
        return torch.__version__

    def variants(
        self,
        network: EarlyExitNetwork,
        image_NCHW: torch.Tensor,
        scores: Mapping[str, Score],
        options: EngineOptions,
    ) -> Sequence[PreparedSegments]:
        """Both layouts, unless one is given. Threads are torch's, which the measurement sets."""
        return [
            PreparedSegments(self.segments(network, image_NCHW, channels_last=last), image_NCHW, scores)
            for last in layouts(options)
        ]

    def segments(self, network: EarlyExitNetwork, image_NCHW: torch.Tensor, *, channels_last: bool) -> Segments:
        """The pieces of a copy of the network, ready to call."""
        return eager_segments(network, image_NCHW, channels_last=channels_last)


def layouts(options: EngineOptions) -> tuple[bool, ...]:
    """Whether channels are last, in every layout to try."""
    return (False, True) if options.channels_last is None else (options.channels_last,)


def eager_segments(network: EarlyExitNetwork, image_NCHW: torch.Tensor, *, channels_last: bool) -> Segments:
    """Copies the network to the image's device in the given layout; the original is unchanged."""
    network = deployable(network, image_NCHW.device, channels_last=channels_last)
    return Segments(list(network.stages), list(network.heads), network.cuts, list(network.gates))


def deployable(network: EarlyExitNetwork, device: torch.device, *, channels_last: bool) -> EarlyExitNetwork:
    """A copy in eval mode on a device, with gates folded into plain layers."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = copy.deepcopy(network).to(device).to(memory_format=layout).eval()
    network.gates = nn.ModuleList(cast(LearnedGate, gate).folded() for gate in network.gates)
    return network
