"""Data sets: images with labels in three splits, their statistics and their hash.

Shape suffixes: N images, C channels, H height, W width.
"""

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from searchlab.architecture import ImageSpec
from searchlab.errors import UserError
from searchlab.record import DataFacts, Scales

DATA_SEED = 0
"""Seed of every split. It differs from a study's seed: all studies of a data set use the same splits."""

ENOUGH = 5_000
"""Maximum number of validation images: enough for thresholds accurate to a tenth of a point."""

FEWEST = 5
"""Least images per class for a split: with fewer, a part could have none."""


@dataclass(frozen=True, eq=False)
class Split:
    """A split: images_NCHW as uint8 and labels_N as int64.

    Labels are on the device of the computations. Images are there too; if they would take too much of its memory, they
    stay in main memory or on disk and are moved batch by batch.
    """

    images_NCHW: Tensor
    labels_N: Tensor

    def __post_init__(self) -> None:
        assert self.images_NCHW.dtype == torch.uint8 and self.images_NCHW.ndim == 4
        assert self.labels_N.dtype == torch.int64 and len(self.labels_N) == len(self.images_NCHW)

    def __len__(self) -> int:
        return len(self.labels_N)

    @property
    def device(self) -> torch.device:
        """The device of the split's computations."""
        return self.labels_N.device

    def to(self, device: torch.device | str) -> "Split":
        """Moves the split to `device`; images that are too large for its memory stay where they are."""
        device = torch.device(device)
        images_NCHW = self.images_NCHW.to(device) if fits(self.images_NCHW, device) else self.images_NCHW
        return Split(images_NCHW, self.labels_N.to(device))

    def images(self, chosen: Tensor | slice) -> Tensor:
        """Returns images_NCHW at some positions (or under a mask), on the split's device."""
        if isinstance(chosen, Tensor):
            chosen = chosen.to(self.images_NCHW.device)
        return self.images_NCHW[chosen].to(self.device)

    def part(self, chosen_N: Tensor) -> "Split":
        """Copies the images and labels at some positions, or under a mask."""
        images_NCHW = self.images_NCHW[chosen_N.to(self.images_NCHW.device)]
        return Split(images_NCHW, self.labels_N[chosen_N.to(self.device)])


def fits(images_NCHW: Tensor, device: torch.device) -> bool:
    """Whether a split's images fit into a quarter of the device memory that this process may use."""
    if device.type != "cuda":
        return True
    ours = torch.cuda.get_per_process_memory_fraction(device)
    return images_NCHW.nbytes <= ours * torch.cuda.get_device_properties(device).total_memory / 4


def unwritable(array: NDArray[np.generic]) -> Tensor:
    """Makes a tensor on the memory of a read-only array. Nothing writes to a split."""
    with warnings.catch_warnings():
        # torch has no read-only tensors and warns of every read-only array.
        warnings.filterwarnings("ignore", "The given (NumPy array|buffer) is not writable", UserWarning)
        return torch.from_numpy(array)


Parts = tuple[Split, Split, Split]
"""Train, validation, test."""

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of every channel, pixels scaled to 0..1."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: three splits on the CPU, in memory or memory-mapped, and facts about them.

    Attributes:
        mean: mean of every channel over the training split, pixels scaled to 0..1.
        std: standard deviation, likewise.
        hash: 16 hex digits over class names, splits, labels and pixels; another split or another pixel changes it.
        coarse: the superclass of every class; empty if the data set has no superclasses.
        resized_from: the shortest and the longest side of the original images in pixels, where any was resized.
        notes: notes for the user, one line each: files not read, images scaled, duplicates.
        scales: the conversion of its image files to bytes.
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
    resized_from: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    scales: Scales = field(default_factory=Scales)

    @property
    def facts(self) -> DataFacts:
        """Facts that a network trained on this data set needs."""
        return DataFacts(self.name, self.spec, self.mean, self.std, self.class_names, self.hash, self.scales)


def described(dataset: Dataset) -> str:
    """Describes a data set: "3,250 train / 650 validation / 750 test, 5 classes, 32x32, resized from 28..640"."""
    spec, parts = dataset.spec, ("train", "validation", "test")
    counts = " / ".join(f"{len(getattr(dataset, part)):,} {part}" for part in parts)
    shape = f"{spec.width}x{spec.height}{' grey' if spec.channels == 1 else ''}"
    resized = f", resized from {dataset.resized_from[0]}..{dataset.resized_from[1]}" if dataset.resized_from else ""
    return f"{counts}, {spec.classes:,} classes, {shape}{resized}"


def assemble(
    name: str,
    parts: Parts,
    class_names: Sequence[str],
    *,
    statistics: Statistics | None = None,
    coarse: tuple[int, ...] = (),
    digest: str = "",
) -> Dataset:
    """Makes a `Dataset` of three splits; computes `statistics` (of the training split) and the hash if not given."""
    train, validation, test = parts
    _, channels, height, width = train.images_NCHW.shape
    mean, std = statistics or channel_statistics(train.images_NCHW)
    spec = ImageSpec(channels=channels, height=height, width=width, classes=len(class_names))
    digest = digest or data_hash(parts, class_names)
    return Dataset(name, spec, train, validation, test, mean, std, tuple(class_names), digest, coarse)


def channel_statistics(images_NCHW: Tensor) -> Statistics:
    """Computes mean and standard deviation of every channel, exact, without a float copy of the images.

    A constant channel gets the standard deviation of one grey level, to avoid a division by zero.
    """
    counts = np.zeros((images_NCHW.shape[1], 256), dtype=np.int64)
    for chunk_NCHW in chunks(images_NCHW):
        for channel, pixels in enumerate(chunk_NCHW.unbind(1)):
            counts[channel] += np.bincount(pixels.numpy().ravel(), minlength=256)
    levels = np.arange(256) / 255
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ levels
    std = np.sqrt(np.sum(shares * (levels - mean[:, None]) ** 2, axis=1))
    return tuple(mean.tolist()), tuple(np.maximum(std, 1 / 255).tolist())


def chunks(images_NCHW: Tensor, most: int = 4096) -> tuple[Tensor, ...]:
    """Yields images in order, `most` at a time; fewer if they are larger than 32x32, for equal pixels."""
    _, _, height, width = images_NCHW.shape
    return torch.split(images_NCHW, max(1, min(most, most * 32 * 32 // (height * width))))


def data_hash(parts: Sequence[Split], class_names: Sequence[str]) -> str:
    """Returns 16 hex digits of these classes, images and labels, in these splits, in this order."""
    digest = hashlib.blake2b("\0".join(class_names).encode(), digest_size=8)
    for part in parts:
        digest.update(repr(tuple(part.images_NCHW.shape)).encode())
        digest.update(part.labels_N.numpy().data)
        digest.update(part.images_NCHW.contiguous().numpy().data)
    return digest.hexdigest()


def held_out_count(images: int, classes: int = 2) -> int:
    """Returns how many of `images` to hold out: a fifth, at most 5,000, at least one of each class.

    If every class has enough images, a fifth contains at least one of each.
    """
    return min(max(ENOUGH, classes), ceil(images / 5))


def with_validation(train: Split, test: Split, class_names: Sequence[str]) -> Parts:
    """Splits a data set with a test set of its own: validation is held out of train.

    Raises:
        UserError: a class has too few images to be divided.
    """
    kept, validation = with_validation_rows(train.labels_N.numpy(), class_names)
    return _take(train, kept), _take(train, validation), test


def three_way(everything: Split, class_names: Sequence[str]) -> Parts:
    """Splits a data set without a test set: validation and test of the same size, about 60/20/20.

    Raises:
        UserError: a class has too few images to be divided.
    """
    train, validation, test = three_way_rows(everything.labels_N.numpy(), class_names)
    return _take(everything, train), _take(everything, validation), _take(everything, test)


Rows = NDArray[np.intp]
"""Positions of images, in order."""


def with_validation_rows(labels_N: NDArray[np.int64], class_names: Sequence[str]) -> tuple[Rows, Rows]:
    """Returns the positions that `with_validation` keeps for training, and those that it holds out.

    Raises:
        UserError: a class has too few images to be divided.
    """
    _refuse_scarce(labels_N, class_names)
    return _hold_out(np.arange(len(labels_N)), labels_N, held_out_count(len(labels_N), len(class_names)))


def three_way_rows(labels_N: NDArray[np.int64], class_names: Sequence[str]) -> tuple[Rows, Rows, Rows]:
    """Returns the positions of `three_way`'s training, validation and test images.

    Raises:
        UserError: a class has too few images to be divided.
    """
    _refuse_scarce(labels_N, class_names)
    count = held_out_count(len(labels_N), len(class_names))
    rest, test = _hold_out(np.arange(len(labels_N)), labels_N, count)
    train, validation = _hold_out(rest, labels_N, count)
    return train, validation, test


def limited(dataset: Dataset, images: int) -> Dataset:
    """Reduces a data set to `images` training images, stratified; validation and test shrink in proportion.

    Every split keeps an image of every class. Equal arguments give equal images, and a larger part contains a smaller
    one. The part has its own hash, and the normalisation of the whole. With at most `images` images, it is the whole.

    Raises:
        UserError: fewer images than classes.
    """
    classes, share = dataset.spec.classes, images / len(dataset.train)
    if images < classes:
        raise UserError(
            "too-few-images",
            "too few images",
            where="max_images",
            value=images,
            allowed=f"at least one of {classes} classes",
        )
    if share >= 1:
        return dataset
    train, validation, test = (
        _stratified(split, max(classes, round(share * len(split))))
        for split in (dataset.train, dataset.validation, dataset.test)
    )
    statistics = (dataset.mean, dataset.std)
    found = assemble(
        dataset.name, (train, validation, test), dataset.class_names, statistics=statistics, coarse=dataset.coarse
    )
    return replace(found, resized_from=dataset.resized_from, notes=dataset.notes, scales=dataset.scales)


def _stratified(split: Split, count: int) -> Split:
    """Returns the first `count` images in an order with stratified prefixes: images are sorted by their position within
    their class, as a share of the class, so that one of each class comes first."""
    labels_N = split.labels_N.numpy()
    shuffled_N = np.random.default_rng(DATA_SEED).permutation(len(split))
    place_N = np.empty(len(split))
    for label in np.unique(labels_N):
        members = shuffled_N[labels_N[shuffled_N] == label]
        place_N[members] = np.arange(len(members)) / len(members)
    return _take(split, shuffled_N[np.argsort(place_N[shuffled_N], kind="stable")][:count])


def _refuse_scarce(labels_N: NDArray[np.int64], class_names: Sequence[str]) -> None:
    per_class = np.bincount(labels_N, minlength=len(class_names))
    scarce = int(per_class.argmin())
    if per_class[scarce] < FEWEST:
        raise UserError(
            "too-few-images",
            f"class {class_names[scarce]!r} has too few images to be split",
            value=int(per_class[scarce]),
            allowed=f"at least {FEWEST} images of every class, or splits of your own",
        )


def _hold_out(rows: Rows, labels_N: NDArray[np.int64], count: int) -> tuple[Rows, Rows]:
    """Returns `rows` without `count` of them, and these: stratified by label, deterministic, order kept."""
    from sklearn.model_selection import train_test_split

    labels = labels_N[rows]
    kept, held = train_test_split(np.arange(len(rows)), test_size=count, stratify=labels, random_state=DATA_SEED)
    return rows[np.sort(kept)], rows[np.sort(held)]


def _take(split: Split, positions: Rows) -> Split:
    return split.part(torch.from_numpy(np.sort(positions)))
