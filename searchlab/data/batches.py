"""Batches of normalised float32 images, made on the split's device.

Shape suffixes: N images, C channels, H height, W width.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import torch
from torch import Tensor

from searchlab.candidate import Augmentation
from searchlab.data.augment import STEPS, Draw, check_augmentation
from searchlab.data.splits import Dataset, Split, chunks

Batch = tuple[Tensor, Tensor]
"""images_NCHW (float32, normalised, channels last) and labels_N (int64)."""


@dataclass(frozen=True, eq=False)
class Normaliser:
    """Normaliser: (pixel / 255 - mean) / std per channel, as one multiply-add. `mean_C`, `std_C`: 0..1."""

    mean_C: Tensor
    std_C: Tensor

    @classmethod
    def of(cls, dataset: Dataset, device: torch.device | str) -> "Normaliser":
        """Makes the normaliser of a data set's training split, on `device`."""
        return cls(torch.tensor(dataset.mean, device=device), torch.tensor(dataset.std, device=device))

    @cached_property
    def scale_C(self) -> Tensor:
        """Factor of a pixel."""
        return 1 / (255 * self.std_C)

    @cached_property
    def shift_C(self) -> Tensor:
        """Offset of a pixel."""
        return -self.mean_C / self.std_C

    def __call__(self, images_NCHW: Tensor) -> Tensor:
        """Normalises images to float32 in channels-last memory, from uint8 or float ones in 0..255."""
        N, C, H, W = images_NCHW.shape
        # Rows of W*C values: a broadcast over three channels alone is ten times slower on a CPU.
        rows = images_NCHW.permute(0, 2, 3, 1).reshape(N * H, W * C).float()
        return torch.addcmul(self.shift_C.repeat(W), rows, self.scale_C.repeat(W)).view(N, H, W, C).permute(0, 3, 1, 2)


@dataclass(frozen=True, eq=False)
class TrainBatches:
    """Augmented batches of a training split, on the split's device. Images elsewhere are moved batch by batch.

    Every epoch is a permutation of the whole split, in batches of one size: the last one is filled up with images from
    the epoch's start, so that every image is used and all steps have the same shape. A split smaller than a batch is
    one smaller batch. Equal seed, epoch and device give equal batches, independent of earlier draws.

    Raises:
        UserError: the augmentation does not fit the size of the images.
    """

    split: Split
    normaliser: Normaliser
    augmentation: Augmentation
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        check_augmentation(self.augmentation, *self.split.images_NCHW.shape[2:])

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return ceil(len(self.split) / self.batch_size)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yields the batches of epoch `number`, counted from 0."""
        device, size = self.split.device, len(self.split)
        generator = seeded_generator(device, self.seed, f"epoch {number}")
        order = shuffled(size, self.batch_size, generator)
        coins = torch.rand(size, generator=seeded_generator(device, self.seed, "coins"), device=device) < 0.5
        for chosen_N in torch.split(order, self.batch_size):
            draw = Draw(self.augmentation, number, generator, coins[chosen_N], 255 * self.normaliser.mean_C)
            images_NCHW = self.split.images(chosen_N)
            for step in STEPS.values():
                images_NCHW = step(images_NCHW, draw)
            yield self.normaliser(images_NCHW), self.split.labels_N[chosen_N]


def shuffled(size: int, batch_size: int, generator: torch.Generator) -> Tensor:
    """The numbers below `size` in random order, on the generator's device, to be split into batches of one size.

    The last batch is filled up with numbers from the start. Fewer numbers than a batch are one smaller batch.
    """
    order = torch.randperm(size, generator=generator, device=generator.device)
    return torch.cat((order, order[: -size % batch_size])) if size > batch_size else order


def evaluation_batches(split: Split, normaliser: Normaliser, batch_size: int = 1000) -> Iterator[Batch]:
    """Every image of a split in order, not augmented; the last batch may be smaller, those of large images are."""
    first = 0
    for chunk_NCHW in chunks(split.images_NCHW, batch_size):
        labels_N = split.labels_N[first : first + len(chunk_NCHW)]
        yield normaliser(chunk_NCHW.to(split.device)), labels_N
        first += len(chunk_NCHW)


def seeded_generator(device: torch.device | str, seed: int, purpose: str) -> torch.Generator:
    """Makes a generator on `device` from the seed and the purpose of its numbers."""
    digest = hashlib.blake2b(f"{seed} {purpose}".encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "big") >> 1)
