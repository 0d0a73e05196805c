"""Data sets by name.

Shape suffixes: N images, C channels, H height, W width.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from searchlab.architecture import ImageSpec
from searchlab.data.cifar100 import CLASSES, COARSE, SUPERCLASSES
from searchlab.data.folder import load_folder
from searchlab.data.folder_spec import is_folder, parse_folder
from searchlab.data.official import read
from searchlab.data.own import load_own
from searchlab.data.prepared import LoadHooks
from searchlab.data.remote import fetched
from searchlab.data.splits import Dataset, Split, Statistics, assemble, three_way, with_validation
from searchlab.errors import unknown
from searchlab.user_file import UserFile, file_named, is_file_name

CIFAR_STATISTICS: Statistics = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
"""Mean and standard deviation of CIFAR-10's pixels. The .2023 .1994 .2010 of many repositories is a known error."""


def load(
    spec: str,
    root: Path,
    *,
    download: bool = False,
    hooks: LoadHooks | None = None,
    files: Iterable[UserFile] = (),
) -> Dataset:
    """The data set of a name in `DATASETS`, with its files below `root`; or of `folder:PATH`, any folder of images.

    `folder:PATH?size=N` makes the images N pixels wide and high. `folder:URL` is copied below `root` first (see
    `data.remote`). Images of a folder are decoded once and kept below `root` (see `data.prepared`). A name that ends in
    ".py" is a file of the user's, one of `files` or at that path (see `data.own`).

    Raises:
        UserError: the name is unknown, or files are missing, corrupt, or in another layout.
        Interrupted: `hooks.interrupted` returned True.
    """
    if is_folder(spec):
        found, hooks = parse_folder(spec), hooks or LoadHooks()
        folder = fetched(found.place, root, hooks) if found.is_url else Path(found.place).expanduser()
        return replace(load_folder(folder, found.size, root, hooks), name=spec)
    if is_file_name(spec):
        return load_own(file_named("data set", spec, files), root, download=download)
    if spec not in DATASETS:
        raise unknown("data set", spec, DATASETS, where="data", besides="folder:PATH, or a .py file of your own")
    return DATASETS[spec](root, download)


def image_spec(spec: str, root: Path, files: Iterable[UserFile] = ()) -> ImageSpec:
    """Returns the shape of a data set's images; official files need not be present.

    Raises:
        UserError: as `load`.
    """
    return SHAPES[spec] if spec in SHAPES else load(spec, root, files=files).spec


def digits(root: Path, download: bool) -> Dataset:
    """1,797 handwritten digits of 8x8 pixels in grey (UCI, 1998), carried by scikit-learn."""
    from sklearn.datasets import load_digits

    found = load_digits()
    # 17 grey levels, 0 to 16, scaled to a byte.
    levels_NHW = np.rint(found.images * (255 / 16)).astype(np.uint8)
    everything = Split(torch.from_numpy(levels_NHW).unsqueeze(1), torch.from_numpy(found.target.astype(np.int64)))
    class_names = [str(name) for name in found.target_names]
    return assemble("digits", three_way(everything, class_names), class_names)


def digits_28x28(root: Path, download: bool) -> Dataset:
    """The same images enlarged to the size of MNIST's."""
    return _enlarged("digits_28x28", digits(root, download), 28, channels=1)


def digits_32x32(root: Path, download: bool) -> Dataset:
    """The same images enlarged to the size of CIFAR's, with three equal channels."""
    return _enlarged("digits_32x32", digits(root, download), 32, channels=3)


def _enlarged(name: str, small: Dataset, size: int, *, channels: int) -> Dataset:
    train, validation, test = (
        Split(
            functional.interpolate(part.images_NCHW.float(), (size, size), mode="bilinear")
            .round()
            .to(torch.uint8)
            .expand(-1, channels, -1, -1)
            .contiguous(),
            part.labels_N,
        )
        for part in (small.train, small.validation, small.test)
    )
    return assemble(name, (train, validation, test), small.class_names)


def cifar10(root: Path, download: bool) -> Dataset:
    """CIFAR-10 (Krizhevsky 2009): 45,000 / 5,000 / 10,000 images of 32x32 pixels in colour, 10 classes."""
    train, test, class_names = read("cifar10", root, download=download)
    parts = with_validation(train, test, class_names)
    return assemble("cifar10", parts, class_names, statistics=CIFAR_STATISTICS)


def cifar100(root: Path, download: bool) -> Dataset:
    """CIFAR-100 (Krizhevsky 2009): as CIFAR-10, with 100 classes in 20 superclasses (`Dataset.coarse`)."""
    train, test, class_names = read("cifar100", root, download=download)
    assert class_names == CLASSES, "the official files are checked by md5"
    parts = with_validation(train, test, class_names)
    return assemble("cifar100", parts, class_names, statistics=CIFAR_STATISTICS, coarse=COARSE)


def cifar100_coarse(root: Path, download: bool) -> Dataset:
    """CIFAR-100 in the same splits, with the 20 superclasses as labels."""
    fine = cifar100(root, download)
    coarse = torch.tensor(fine.coarse)
    train, validation, test = (
        Split(part.images_NCHW, coarse[part.labels_N]) for part in (fine.train, fine.validation, fine.test)
    )
    return assemble("cifar100_coarse", (train, validation, test), list(SUPERCLASSES), statistics=CIFAR_STATISTICS)


def mnist(root: Path, download: bool) -> Dataset:
    """MNIST (LeCun et al. 1998): 55,000 / 5,000 / 10,000 handwritten digits of 28x28 pixels in grey."""
    train, test, class_names = read("mnist", root, download=download)
    return assemble("mnist", with_validation(train, test, class_names), class_names)


def fashion_mnist(root: Path, download: bool) -> Dataset:
    """Fashion-MNIST (Xiao et al. 2017): as MNIST, ten kinds of clothes."""
    train, test, class_names = read("fashion_mnist", root, download=download)
    return assemble("fashion_mnist", with_validation(train, test, class_names), class_names)


def synthetic(root: Path, download: bool) -> Dataset:
    """2,000 generated images of 16x16 pixels in colour, with four patterns that are invariant to mirroring."""
    class_names = ("rows", "columns", "checks", "rings")
    return assemble("synthetic", three_way(synthetic_images(2_000, seed=0), class_names), class_names)


def synthetic_images(count: int, seed: int) -> Split:
    """Rows, columns, checks and rings (labels 0 to 3, equally many) of random phase, period, colour and contrast.

    With equal noise, images of high contrast are easy and those of low contrast hard, so that early exits are useful.
    """
    random = np.random.default_rng(seed)
    labels_N = np.arange(count) % 4
    y_HW, x_HW = np.mgrid[:16, :16] - 7.5
    frequency = 2 * np.pi / random.uniform(4, 7, (count, 1, 1))
    phase_y, phase_x = random.uniform(0, 2 * np.pi, (2, count, 1, 1))
    rows_NHW, columns_NHW = np.sin(frequency * y_HW + phase_y), np.sin(frequency * x_HW + phase_x)
    rings_NHW = np.sin(frequency * np.hypot(y_HW, x_HW) + phase_y)
    patterns = np.stack((rows_NHW, columns_NHW, rows_NHW * columns_NHW, rings_NHW))[labels_N, np.arange(count)]
    strength_NC = random.uniform(10, 100, (count, 1)) * random.uniform(0.3, 1, (count, 3))
    noise_NCHW = random.normal(0, 25, (count, 3, 16, 16))
    pixels_NCHW = 128 + strength_NC[:, :, None, None] * patterns[:, None] + noise_NCHW
    return Split(torch.from_numpy(pixels_NCHW.clip(0, 255).astype(np.uint8)), torch.from_numpy(labels_N))


DATASETS: dict[str, Callable[[Path, bool], Dataset]] = {
    "digits": digits,
    "digits_28x28": digits_28x28,
    "digits_32x32": digits_32x32,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "cifar100_coarse": cifar100_coarse,
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "synthetic": synthetic,
}
"""Name to loader: called with the data root, and whether files that are missing may be downloaded."""

EMBEDDED = frozenset({"digits", "digits_28x28", "digits_32x32", "synthetic"})
"""Data sets without files, which need no data root."""

SHAPES: dict[str, ImageSpec] = {
    "cifar10": ImageSpec(3, 32, 32, 10),
    "cifar100": ImageSpec(3, 32, 32, 100),
    "cifar100_coarse": ImageSpec(3, 32, 32, 20),
    "mnist": ImageSpec(1, 28, 28, 10),
    "fashion_mnist": ImageSpec(1, 28, 28, 10),
}
"""Facts about data sets with official files, known without the files."""
