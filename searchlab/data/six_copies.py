"""The offline augmentation of paper 004, section 2.1, computed on the device without storing it.

Every image has six versions, drawn once from the seed and the same in every epoch; only the draws are kept, five
numbers each. Pixels are on the scale 0..255, in float32.
Shape suffixes: P pairs of an image and a version, N images in a batch, C channels, H height, W width, D draws.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from searchlab.data.augment import mirror, pick, recolour, rotate
from searchlab.data.batches import Batch, Normaliser, seeded_generator, shuffled
from searchlab.data.splits import Split

MOST_SHIFTED = 4
"""Largest shift of the third version in pixels, each way."""

DRAWS = 5
"""Random numbers in 0..1 per version: the first decides on mirroring, the others are version-specific."""

TOGETHER = 1024
"""Number of images that are augmented at once (fewer if large), for any batch size: batches of 32 do not use a GPU
fully."""


def as_it_is(images_NCHW: Tensor, draws_ND: Tensor) -> Tensor:
    """Returns the images unchanged."""
    return images_NCHW


def mirrored(images_NCHW: Tensor, draws_ND: Tensor) -> Tensor:
    """Mirrors every image."""
    return images_NCHW.flip(3)


def translated(images_NCHW: Tensor, draws_ND: Tensor) -> Tensor:
    """Mirrors at random, then shifts by up to 4 pixels each way, with black padding."""
    padded = F.pad(_some_mirrored(images_NCHW, draws_ND), [MOST_SHIFTED] * 4)
    return _window(padded, images_NCHW.shape, draws_ND[:, 1], draws_ND[:, 2])


def enlarged(images_NCHW: Tensor, draws_ND: Tensor) -> Tensor:
    """Mirrors at random, then resizes to 9/8 (bilinear) and crops to the old size at a random place."""
    size = [round(side * 9 / 8) for side in images_NCHW.shape[2:]]
    larger = F.interpolate(_some_mirrored(images_NCHW, draws_ND), size, mode="bilinear", align_corners=False)
    return _window(larger, images_NCHW.shape, draws_ND[:, 1], draws_ND[:, 2])


def turned(images_NCHW: Tensor, draws_ND: Tensor) -> Tensor:
    """Mirrors at random, then rotates by up to 90 degrees each way (bilinear), with black padding."""
    return rotate(_some_mirrored(images_NCHW, draws_ND), math.pi * (draws_ND[:, 1] - 0.5), padding="zeros")


def recoloured(images_NCHW: Tensor, draws_ND: Tensor) -> Tensor:
    """Mirrors at random; brightness, contrast and saturation times 0.5 to 1.5, hue shifted by up to half its circle.

    In this order. The paper gives 0.5 to 1.5 for the hue as well. In torchvision's ColorJitter, this corresponds to a
    hue argument of 0.5, which shifts the hue by -0.5 to 0.5.
    """
    brightness_N, contrast_N, saturation_N = (0.5 + draws_ND[:, 1:4]).unbind(1)
    images_NCHW = recolour(_some_mirrored(images_NCHW, draws_ND), brightness_N, contrast_N, saturation_N)
    return move_hue(images_NCHW, draws_ND[:, 4] - 0.5)


VERSIONS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    as_it_is,
    mirrored,
    translated,
    enlarged,
    turned,
    recoloured,
)
"""The six versions, each from images_NCHW and draws_ND."""


def move_hue(images_NCHW: Tensor, turns_N: Tensor) -> Tensor:
    """Shifts the hue round its circle (1 is a full turn), as torchvision's adjust_hue does; grey images have none."""
    if images_NCHW.shape[1] == 1:
        return images_NCHW
    red, green, blue = images_NCHW.unbind(1)
    value, lowest = images_NCHW.amax(1), images_NCHW.amin(1)
    chroma = value - lowest
    # Sixths of the circle, counted from red.
    some = torch.where(chroma == 0, 1.0, chroma)
    of_red, of_green, of_blue = (green - blue) / some, (blue - red) / some + 2, (red - green) / some + 4
    hue = torch.where(value == red, of_red, torch.where(value == green, of_green, of_blue))
    hue = hue + 6 * turns_N[:, None, None]
    offsets_C = torch.tensor([5.0, 3.0, 1.0], device=images_NCHW.device)[:, None, None]
    position = (hue[:, None] + offsets_C) % 6
    return value[:, None] - chroma[:, None] * torch.minimum(position, 4 - position).clamp(0, 1)


def _some_mirrored(images_NCHW: Tensor, draws_ND: Tensor) -> Tensor:
    return mirror(images_NCHW, draws_ND[:, 0] < 0.5)


def _window(images_NCHW: Tensor, shape: torch.Size, down_N: Tensor, right_N: Tensor) -> Tensor:
    """Cuts windows of the height and width of `shape`; `down_N` and `right_N` are shares of the free margin."""
    rows_NH, columns_NW = (
        (share_N[:, None] * (images_NCHW.shape[axis] - shape[axis] + 1)).long()
        + torch.arange(shape[axis], device=images_NCHW.device)
        for axis, share_N in ((2, down_N), (3, right_N))
    )
    return pick(images_NCHW, rows_NH, columns_NW)


@dataclass(frozen=True, eq=False)
class SixCopiesBatches:
    """Batches of a training split with six versions of every image, on the split's device.

    An epoch is a permutation of all pairs, in batches of one size as those of `TrainBatches` are.
    """

    split: Split
    normaliser: Normaliser
    batch_size: int
    seed: int

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return math.ceil(len(VERSIONS) * len(self.split) / self.batch_size)

    @cached_property
    def draws_PD(self) -> Tensor:
        """Random numbers of every pair's version; pair p is version p // N of image p % N, of N images."""
        device = self.split.device
        generator = seeded_generator(device, self.seed, "six copies")
        return torch.rand(len(VERSIONS) * len(self.split), DRAWS, generator=generator, device=device)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yields the batches of epoch `number`, counted from 0."""
        generator = seeded_generator(self.split.device, self.seed, f"epoch {number}")
        order_P = shuffled(len(self.draws_PD), self.batch_size, generator)
        _, _, height, width = self.split.images_NCHW.shape
        together = TOGETHER * 32 * 32 / max(32 * 32, height * width)
        for chosen_N in torch.split(order_P, self.batch_size * math.ceil(together / self.batch_size)):
            images_NCHW = self.normaliser(self.pairs(chosen_N))
            labels_N = self.split.labels_N[chosen_N % len(self.split)]
            yield from zip(*(torch.split(tensor, self.batch_size) for tensor in (images_NCHW, labels_N)), strict=True)

    def pairs(self, chosen_N: Tensor) -> Tensor:
        """Returns images_NCHW of pairs by their number, in 0..255, not yet normalised."""
        images_NCHW = self.split.images(chosen_N % len(self.split)).float()
        versions_N, draws_ND = chosen_N // len(self.split), self.draws_PD[chosen_N]
        for version, change in enumerate(VERSIONS):
            members = (versions_N == version).nonzero().squeeze(1)
            if len(members):
                images_NCHW[members] = change(images_NCHW[members], draws_ND[members])
        return images_NCHW
