"""Runtime of early exits: executes only the parts that a sample needs.

Shape suffixes: N images, L images that leave, C channels or classes, H and W pixels.
"""

import torch
from torch import nn

from searchlab.deploy.scores import SCORE_FUNCTIONS, score_functions
from searchlab.engines.legs import Leg, Routable, legs_of, routed
from searchlab.errors import UserError
from searchlab.exits.scores import GATE
from searchlab.operating_point import ExitRule


class EarlyExitRuntime:
    """A network under an exit rule. Unused heads and gates and later stages are never run.

    A module is put into eval mode. Pieces captured for one shape (CUDA graphs) serve `classify` alone.
    """

    def __init__(self, network: Routable, rule: ExitRule) -> None:
        """Raises UserError if the rule names an unknown score or exit, or gates that the network does not have."""
        self._score = score_functions([rule.score])[rule.score]
        if rule.exits[-1] >= len(network.cuts):
            raise UserError(
                "unknown-exit",
                "unknown exit",
                where="exit rule",
                value=rule.exits[-1],
                allowed=f"0 to {len(network.cuts) - 1}",
            )
        if rule.score == GATE and not list(network.gates):
            raise UserError(
                "no-gates",
                "the network has no gates",
                where="exit rule",
                value=GATE,
                allowed=", ".join(SCORE_FUNCTIONS),
            )
        if isinstance(network, nn.Module):
            network.eval()
        self.rule = rule
        self._legs = legs_of(network, rule)
        self._classify = routed(self._legs, self._score)

    def classify(self, image_1CHW: torch.Tensor) -> tuple[int, int]:
        """Returns the class of one image, and the exit (position in the exit table) where it left."""
        return self._classify(image_1CHW)

    def classify_batch(self, images_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns class_N and exit_N (positions in the exit table); samples that left are removed from the batch."""
        logits_NC, exit_N = self.logits_batch(images_NCHW)
        return logits_NC.argmax(dim=1), exit_N

    def logits_batch(self, images_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns logits_NC of the exit where each image left, and exit_N; as `classify_batch`."""
        logits: list[torch.Tensor] = []
        leaving: list[torch.Tensor] = []
        exit_N = torch.empty(len(images_NCHW), dtype=torch.long, device=images_NCHW.device)
        stay = torch.arange(len(images_NCHW), device=images_NCHW.device)
        with torch.inference_mode():
            map_NCHW = images_NCHW
            for leg in self._legs:
                if len(stay) == 0:
                    break
                for stage in leg.stages:
                    map_NCHW = stage(map_NCHW)
                leaves_N, logits_LC = self._leaving(leg, map_NCHW)
                logits += [logits_LC] if len(logits_LC) else []
                leaving.append(stay[leaves_N])
                exit_N[stay[leaves_N]] = leg.exit
                stay, map_NCHW = stay[~leaves_N], map_NCHW[~leaves_N]
            if not logits:
                return images_NCHW.new_empty(0, 1), exit_N
            return torch.cat(logits)[torch.cat(leaving).argsort()], exit_N

    def _leaving(self, leg: Leg, map_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns leaves_N, whether each sample leaves here, and logits_LC of those that do."""
        signal = leg.head(map_NCHW) if leg.gate is None else leg.gate(map_NCHW)
        if leg.threshold is None:
            leaves_N = torch.ones(len(signal), dtype=torch.bool, device=signal.device)
        else:
            # A comparison in float32 would round the threshold.
            leaves_N = self._score(signal).double() >= leg.threshold
        if leg.gate is None:
            return leaves_N, signal[leaves_N]
        return leaves_N, leg.head(map_NCHW[leaves_N]) if leaves_N.any() else signal[:0]
