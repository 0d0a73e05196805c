"""Heads and gates: from a cut's map to class logits, or to a gate's score.

Shape suffixes: N images, C channels, H and W pixels, F features.
"""

import copy
from functools import partial

import torch
from torch import nn

from searchlab.candidate import Gate, Head
from searchlab.errors import UserError
from searchlab.model.blocks import Make, Stage, conv_bn

CLOSED = -1.0
"""Initial logit of a gate, at which it would open for about one image in four."""


def plan_head(head: Head, stage: Stage, classes: int, *, where: str) -> Make:
    """Plans a head for a stage's map: see `build_head`.

    Raises:
        UserError: the pooling is larger than the map at `where`.
    """
    _check_pool(head.pool, stage, where)
    return partial(build_head, head, stage.channels, classes)


def build_head(head: Head, channels_in: int, classes: int) -> nn.Sequential:
    """Builds average pooling to `head.pool`, hidden linear layers with ReLU, dropout, then logits_NC."""
    layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(head.pool)]
    channels = head.reduce or channels_in
    if head.reduce is not None:
        layers += [*conv_bn(channels_in, channels, 1), nn.ReLU(inplace=True)]
    layers.append(nn.Flatten())
    features = channels * head.pool**2
    for hidden in head.hidden:
        # Batch normalisation has its own bias.
        layers.append(nn.Linear(features, hidden, bias=not head.batch_norm))
        layers += [nn.BatchNorm1d(hidden)] if head.batch_norm else []
        layers += [nn.ReLU(inplace=True), *_dropout(head)]
        features = hidden
    if not head.hidden:
        layers += _dropout(head)
    return nn.Sequential(*layers, nn.Linear(features, classes))


class GateUnit(nn.Module):
    """One linear unit on features_NF: gate_N1, the logit of leaving here.

    Its inputs are standardised. Otherwise the features that all images share would dominate, and the gate would open
    for all images or for none.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features, momentum=None, affine=False)
        self.linear = nn.Linear(features, 1)
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Resets the unit to its initial state: nearly closed, equal for every image.

        So each gate first compares its exit with the final one. If gates started half open, an early gate would compare
        its exit with untrained later gates, and would saturate before they are trained.
        """
        self.norm.reset_running_stats()
        self.linear.weight.zero_()
        self.linear.bias.fill_(CLOSED)

    def forward(self, features_NF: torch.Tensor) -> torch.Tensor:
        """features_NF to gate_N1."""
        gate_N1: torch.Tensor = self.linear(self.norm(features_NF))
        return gate_N1

    @torch.no_grad()
    def folded(self) -> nn.Linear:
        """Returns an equivalent linear layer, with the standardisation folded into its weights."""
        assert self.norm.running_var is not None and self.norm.running_mean is not None
        folded = copy.deepcopy(self.linear)
        folded.weight.mul_(torch.rsqrt(self.norm.running_var + self.norm.eps))
        folded.bias.sub_(folded.weight @ self.norm.running_mean)
        return folded


class LearnedGate(nn.Module):
    """A learned gate (paper 001, section 4): pools and flattens map_NCHW, then applies its linear unit."""

    def __init__(self, seen: nn.Sequential, unit: GateUnit) -> None:
        super().__init__()
        self.seen, self.unit = seen, unit

    def forward(self, map_NCHW: torch.Tensor) -> torch.Tensor:
        """map_NCHW to gate_N1."""
        gate_N1: torch.Tensor = self.unit(self.seen(map_NCHW))
        return gate_N1

    def folded(self) -> nn.Sequential:
        """Returns the gate for deployment, as pooling and a plain linear layer."""
        return nn.Sequential(*self.seen, self.unit.folded())


def plan_gate(gate: Gate, stage: Stage, *, where: str) -> Make:
    """Plans a gate for a stage's map: see `build_gate`.

    Raises:
        UserError: the pooling is larger than the map at `where`.
    """
    _check_pool(gate.pool, stage, where)
    return partial(build_gate, gate, stage.channels)


def build_gate(gate: Gate, channels: int) -> LearnedGate:
    """Builds average pooling to `gate.pool`, then one linear unit on what was pooled."""
    seen = nn.Sequential(nn.AdaptiveAvgPool2d(gate.pool), nn.Flatten())
    return LearnedGate(seen, GateUnit(channels * gate.pool**2))


def _dropout(head: Head) -> list[nn.Module]:
    return [nn.Dropout(head.dropout)] if head.dropout > 0 else []


def _check_pool(pool: int, stage: Stage, where: str) -> None:
    if pool > min(stage.height, stage.width):
        raise UserError(
            "pooling-too-large",
            "pooling is larger than the map",
            where=where,
            value=pool,
            allowed=f"the map after {stage.name} is {stage.height} x {stage.width}",
        )
