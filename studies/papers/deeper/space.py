"""VGG19, GoogLeNet and ResNet18 (paper 002): widths, inception variants, auxiliary classifiers, schedules."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from searchlab import (
    VGG,
    Augmentation,
    Candidate,
    Choose,
    Decay,
    Exit,
    GoogLeNet,
    Head,
    ImageSpec,
    ResNet,
    Training,
    widest,
)
from searchlab.lab import LEAST_SIDE

WIDTH = 64
"""The paper's base width, and the largest."""

AUXILIARY_CUTS = (3, 6)
"""After the inception modules 4a and 4d."""


@dataclass(frozen=True)
class Variant:
    """Variant of a network: three options of GoogLeNet (section 3.2), one of VGG19, the stem of GoogLeNet and ResNet18.

    The "large" stem is that of torchvision's code, which the paper ran: it divides GoogLeNet's maps by 8 and ResNet18's
    by 4.
    """

    large_kernel: Literal[3, 5]
    residual: bool
    auxiliary: bool
    batch_norm: bool
    stem: Literal["small", "large"]
    images: ImageSpec

    @property
    def side(self) -> int:
        """The shorter side of the images in pixels."""
        return min(self.images.height, self.images.width)


def space(choose: Choose) -> Candidate:
    """The network, its width and variant, and the schedule, patience and learning rate of section 2.2.

    `width` is the base width if a width of 64 meets the study's limits; else it is in 64ths of the largest width that
    does. Heads scale with it, because the paper's have more parameters than most caps allow. The paper's configurations
    are points of the space, with width 64 and no limits.
    """
    network = choose.suggest_categorical("network", list(NETWORKS))
    width = choose.suggest_int("width", 8, WIDTH)
    variant = Variant(
        large_kernel=choose.suggest_categorical("large_kernel", [3, 5]),
        residual=choose.suggest_categorical("residual", [False, True]),
        auxiliary=choose.suggest_categorical("auxiliary", [False, True]),
        batch_norm=choose.suggest_categorical("batch_norm", [False, True]),
        stem=choose.suggest_categorical("stem", ["small", "large"]),
        images=choose.images,
    )

    make = partial(NETWORKS[network], variant)
    # `choose.fit` would leave the heads as they are.
    full = widest(make, choose.images, choose.limits, start=WIDTH, largest=WIDTH)
    return replace(make(max(1, width * full // WIDTH)), training=_training(choose))


def _vgg19(variant: Variant, width: int) -> Candidate:
    # On 32 x 32 pixels one is left, which torchvision's pooling to 7 x 7 would only repeat.
    hidden = (WIDTH * width, WIDTH * width)
    return Candidate(VGG(width=width, batch_norm=variant.batch_norm), final=Head(hidden=hidden, dropout=0.5))


def _googlenet(variant: Variant, width: int) -> Candidate:
    """Auxiliary classifiers as in the original: loss weight 0.3, 128 channels, 1024 hidden units at the full width."""
    stem = variant.stem if variant.side >= LEAST_SIDE[variant.stem] else "small"
    architecture = GoogLeNet(width, variant.large_kernel, variant.residual, stem)
    side = max(1, variant.side // {"small": 2, "large": 16}[stem])  # of the map after 4a
    head = Head(pool=min(4, side), hidden=(16 * width,), dropout=0.7, reduce=2 * width)
    exits = tuple(Exit(cut, head, loss_weight=0.3) for cut in AUXILIARY_CUTS) if variant.auxiliary else ()
    return Candidate(architecture, exits, Head(dropout=0.2))


def _resnet18(variant: Variant, width: int) -> Candidate:
    blocks = (2, 2, 2, 2)
    large = ResNet(blocks, width, stem_kernel=7, stem_stride=2, stem_pool=True)
    return Candidate(large if variant.stem == "large" else ResNet(blocks, width))


NETWORKS: dict[str, Callable[[Variant, int], Candidate]] = {
    "vgg19": _vgg19,
    "googlenet": _googlenet,
    "resnet18": _resnet18,
}


def _training(choose: Choose) -> Training:
    """SGD of section 2.2: momentum 0.9, weight decay 5e-4 (of the rate), batches of 256.

    The paper augments colour images alone, and names its four augmentations without their strengths.
    """
    schedule = choose.suggest_categorical("schedule", ["plateau", "every"])
    patience = choose.suggest_int("patience", 0, 15)
    rate = choose.suggest_float("learning_rate", 0.003, 0.3, log=True)
    colourful = Augmentation(flip="random", rotation_degrees=15, colour=0.2, zoom=0.5)
    return Training(
        schedule=schedule,
        batch_size=256,
        learning_rate=rate,
        nesterov=False,
        weight_decay=5e-4 * rate,
        ema=0.0,
        decay=Decay(factor=0.1 if schedule == "plateau" else 0.96, patience=patience, every=8),
        augmentation=colourful if choose.images.channels > 1 else Augmentation(),
    )
