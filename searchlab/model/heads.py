"""From a cut's map to class logits, or to a gate's score.

Shape suffixes: N images, C channels, H and W pixels, F features.
"""

from torch import nn

from searchlab.candidate import Gate, Head
from searchlab.errors import UserError
from searchlab.model.blocks import Stage, conv_bn


def build_head(head: Head, stage: Stage, classes: int, *, where: str) -> nn.Sequential:
    """Average pooling to `head.pool`, hidden linear layers with ReLU, dropout, then logits_NC.

    Raises:
        UserError: the pooling is larger than the map at `where`.
    """
    _check_pool(head.pool, stage, where)
    layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(head.pool)]
    channels = head.reduce or stage.channels
    if head.reduce is not None:
        layers += [*conv_bn(stage.channels, channels, 1), nn.ReLU(inplace=True)]
    layers.append(nn.Flatten())
    features = channels * head.pool**2
    for hidden in head.hidden:
        # The normalisation has a shift of its own.
        layers.append(nn.Linear(features, hidden, bias=not head.batch_norm))
        layers += [nn.BatchNorm1d(hidden)] if head.batch_norm else []
        layers += [nn.ReLU(inplace=True), *_dropout(head)]
        features = hidden
    if not head.hidden:
        layers += _dropout(head)
    return nn.Sequential(*layers, nn.Linear(features, classes))


def build_gate(gate: Gate, stage: Stage, *, where: str) -> nn.Sequential:
    """Average pooling to `gate.pool`, then one linear unit: gate_N1, the logit of leaving here.

    Raises:
        UserError: the pooling is larger than the map at `where`.
    """
    _check_pool(gate.pool, stage, where)
    return nn.Sequential(nn.AdaptiveAvgPool2d(gate.pool), nn.Flatten(), nn.Linear(stage.channels * gate.pool**2, 1))


def _dropout(head: Head) -> list[nn.Module]:
    return [nn.Dropout(head.dropout)] if head.dropout > 0 else []


def _check_pool(pool: int, stage: Stage, where: str) -> None:
    if pool > min(stage.height, stage.width):
        raise UserError(
            "pooling is larger than the map",
            where=where,
            value=pool,
            allowed=f"the map after {stage.name} is {stage.height} x {stage.width}",
        )
