"""Images with labels, split into train, validation and test; what is known of a data set; its hash.

Shape suffixes: N images, C channels, H height, W width.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from torch import Tensor

from searchlab.architecture import ImageSpec
from searchlab.errors import UserError

DATA_SEED = 0
"""Seeds every split. Not the study's seed: all studies of a data set see the same images in the same roles."""

ENOUGH = 5_000
"""Images that decide a threshold to a tenth of a point (design, section 5)."""

FEWEST = 5
"""Images that a class needs where we split: fewer could leave a part without it."""


@dataclass(frozen=True, eq=False)
class Split:
    """images_NCHW as uint8 and labels_N as int64, on one device."""

    images_NCHW: Tensor
    labels_N: Tensor

    def __post_init__(self) -> None:
        assert self.images_NCHW.dtype == torch.uint8 and self.images_NCHW.ndim == 4
        assert self.labels_N.dtype == torch.int64 and len(self.labels_N) == len(self.images_NCHW)

    def __len__(self) -> int:
        return len(self.labels_N)

    def to(self, device: torch.device | str) -> "Split":
        """The same images and labels on `device`."""
        return Split(self.images_NCHW.to(device), self.labels_N.to(device))


Parts = tuple[Split, Split, Split]
"""Train, validation, test."""

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of every channel, pixels scaled to 0..1."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in memory: three splits on the CPU and what is known of them.

    Attributes:
        mean: of every channel over the training split, pixels scaled to 0..1.
        std: likewise.
        hash: 16 hex digits over class names, splits, labels and pixels; another split or another pixel changes it.
        coarse: the superclass of every class, where the data set has superclasses; else empty.
    """

    name: str
    spec: ImageSpec
    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]
    hash: str
    coarse: tuple[int, ...] = ()


def assemble(
    name: str,
    parts: Parts,
    class_names: Sequence[str],
    *,
    statistics: Statistics | None = None,
    coarse: tuple[int, ...] = (),
) -> Dataset:
    """A `Dataset` of three splits; `statistics` are the training split's own where none are given."""
    train, validation, test = parts
    _, channels, height, width = train.images_NCHW.shape
    mean, std = statistics or channel_statistics(train.images_NCHW)
    spec = ImageSpec(channels=channels, height=height, width=width, classes=len(class_names))
    digest = data_hash(parts, class_names)
    return Dataset(name, spec, train, validation, test, mean, std, tuple(class_names), digest, coarse)


def channel_statistics(images_NCHW: Tensor) -> Statistics:
    """Mean and standard deviation of every channel, exact, without a float copy of the images.

    A channel that is constant gets the standard deviation of one grey level, so that it can be divided by.
    """
    counts = np.zeros((images_NCHW.shape[1], 256), dtype=np.int64)
    for chunk_NCHW in torch.split(images_NCHW, 4096):
        for channel, pixels in enumerate(chunk_NCHW.unbind(1)):
            counts[channel] += np.bincount(pixels.numpy().ravel(), minlength=256)
    levels = np.arange(256) / 255
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ levels
    std = np.sqrt(np.sum(shares * (levels - mean[:, None]) ** 2, axis=1))
    return tuple(mean.tolist()), tuple(np.maximum(std, 1 / 255).tolist())


def data_hash(parts: Sequence[Split], class_names: Sequence[str]) -> str:
    """16 hex digits that name these classes and these images with these labels, in these splits, in this order."""
    digest = hashlib.blake2b("\0".join(class_names).encode(), digest_size=8)
    for part in parts:
        digest.update(repr(tuple(part.images_NCHW.shape)).encode())
        digest.update(part.labels_N.numpy().data)
        digest.update(part.images_NCHW.contiguous().numpy().data)
    return digest.hexdigest()


def held_out_count(images: int) -> int:
    """How many of `images` to hold out: a fifth, or 5,000 where that is less."""
    return min(ENOUGH, ceil(images / 5))


def with_validation(train: Split, test: Split, class_names: Sequence[str]) -> Parts:
    """Three splits of a data set that has its own test set: validation is held out of train.

    Raises:
        UserError: a class has too few images to be divided.
    """
    _refuse_scarce(train, class_names)
    kept, validation = _hold_out(train, held_out_count(len(train)))
    return kept, validation, test


def three_way(everything: Split, class_names: Sequence[str]) -> Parts:
    """Three splits of a data set that has none: validation and test of the same size, about 60/20/20.

    Raises:
        UserError: a class has too few images to be divided.
    """
    _refuse_scarce(everything, class_names)
    count = held_out_count(len(everything))
    rest, test = _hold_out(everything, count)
    train, validation = _hold_out(rest, count)
    return train, validation, test


def limited(dataset: Dataset, images: int) -> Dataset:
    """A data set of `images` of the training images, stratified; validation and test are cut in proportion.

    Every split keeps an image of every class. Equal arguments give equal images, and a larger part holds a smaller one.
    It has a hash of its own, and is normalised as the whole is. Where there are no more images, it is the whole.

    Raises:
        UserError: fewer images than classes.
    """
    classes, share = dataset.spec.classes, images / len(dataset.train)
    if images < classes:
        raise UserError(
            "too few images", where="max_images", value=images, allowed=f"at least one of {classes} classes"
        )
    if share >= 1:
        return dataset
    train, validation, test = (
        _stratified(split, max(classes, round(share * len(split))))
        for split in (dataset.train, dataset.validation, dataset.test)
    )
    statistics = (dataset.mean, dataset.std)
    return assemble(
        dataset.name, (train, validation, test), dataset.class_names, statistics=statistics, coarse=dataset.coarse
    )


def _stratified(split: Split, count: int) -> Split:
    """The first `count` images in an order of which every beginning is stratified: an image's place in its class, as a
    share of the class, so that one of each class comes first."""
    labels_N = split.labels_N.numpy()
    shuffled_N = np.random.default_rng(DATA_SEED).permutation(len(split))
    place_N = np.empty(len(split))
    for label in np.unique(labels_N):
        members = shuffled_N[labels_N[shuffled_N] == label]
        place_N[members] = np.arange(len(members)) / len(members)
    return _take(split, shuffled_N[np.argsort(place_N[shuffled_N], kind="stable")][:count])


def _refuse_scarce(split: Split, class_names: Sequence[str]) -> None:
    per_class = np.bincount(split.labels_N.numpy(), minlength=len(class_names))
    scarce = int(per_class.argmin())
    if per_class[scarce] < FEWEST:
        raise UserError(
            f"class {class_names[scarce]!r} has too few images to be split",
            value=int(per_class[scarce]),
            allowed=f"at least {FEWEST} images of every class, or splits of your own",
        )


def _hold_out(split: Split, count: int) -> tuple[Split, Split]:
    """`split` without `count` of its images, and these: stratified by label, always the same ones, order kept."""
    labels_N = split.labels_N.numpy()
    kept, held = train_test_split(np.arange(len(split)), test_size=count, stratify=labels_N, random_state=DATA_SEED)
    return _take(split, kept), _take(split, held)


def _take(split: Split, positions: NDArray[np.intp]) -> Split:
    chosen = torch.from_numpy(np.sort(positions))
    return Split(split.images_NCHW[chosen], split.labels_N[chosen])
