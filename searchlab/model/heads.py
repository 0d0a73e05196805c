"""From a cut's map to class logits.

Shape suffixes: N images, C channels, H and W pixels, F features.
"""

from torch import nn

from searchlab.candidate import Head
from searchlab.errors import UserError
from searchlab.model.blocks import Stage


def build_head(head: Head, stage: Stage, classes: int, *, where: str) -> nn.Sequential:
    """Average pooling to `head.pool`, hidden linear layers with ReLU, dropout before the last, then logits.

    Raises:
        UserError: the pooling is larger than the map at `where`.
    """
    if head.pool > min(stage.height, stage.width):
        raise UserError(
            "pooling is larger than the map",
            where=where,
            value=head.pool,
            allowed=f"the map after {stage.name} is {stage.height} x {stage.width}",
        )
    layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(head.pool), nn.Flatten()]
    features = stage.channels * head.pool**2
    for hidden in head.hidden:
        layers += [nn.Linear(features, hidden), nn.ReLU(inplace=True)]
        features = hidden
    if head.dropout > 0:
        layers.append(nn.Dropout(head.dropout))
    return nn.Sequential(*layers, nn.Linear(features, classes))
