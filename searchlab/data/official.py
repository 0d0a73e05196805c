"""Official CIFAR and MNIST files, read through torchvision, with errors that name missing or damaged files."""

import contextlib
import http.client
import math
import struct
import sys
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST
from torchvision.datasets.utils import check_integrity

from searchlab.data.splits import Split
from searchlab.errors import UserError


class MissingFiles(UserError):
    """Files of a data set are missing and were not or cannot be downloaded."""


@dataclass(frozen=True)
class OfficialFiles:
    """An official data set: torchvision's class, and a check for every file (a path below the data root)."""

    kind: Callable[..., Any]
    checks: Mapping[str, Callable[[Path], bool]]


def idx_is_whole(path: Path) -> bool:
    """Whether an idx file of bytes is as long as its header says (LeCun et al., the MNIST page).

    torchvision compares md5 sums of the compressed downloads only, so unpacked files are checked here.
    """
    dimensions = 3 if "idx3" in path.name else 1
    header = 4 + 4 * dimensions
    with path.open("rb") as file:
        head = file.read(header)
    if len(head) < header or head[:4] != bytes((0, 0, 8, dimensions)):
        return False
    sizes: tuple[int, ...] = struct.unpack(f">{dimensions}I", head[4:])
    return path.stat().st_size == header + math.prod(sizes)


def _cifar(kind: Any) -> OfficialFiles:
    listed = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
    return OfficialFiles(
        kind, {f"{kind.base_folder}/{name}": partial(check_integrity, md5=md5) for name, md5 in listed}
    )


def _mnist(kind: Any) -> OfficialFiles:
    names = [name.removesuffix(".gz") for name, _ in kind.resources]
    return OfficialFiles(kind, {f"{kind.__name__}/raw/{name}": idx_is_whole for name in names})


SOURCES: dict[str, OfficialFiles] = {
    "cifar10": _cifar(CIFAR10),
    "cifar100": _cifar(CIFAR100),
    "mnist": _mnist(MNIST),
    "fashion_mnist": _mnist(FashionMNIST),
}


def read(name: str, root: Path, *, download: bool) -> tuple[Split, Split, tuple[str, ...]]:
    """The official training and test images of `name` below `root`, and the class names.

    With `download`, missing files are downloaded; existing files are never replaced.

    Raises:
        MissingFiles: files are missing, or cannot be downloaded.
        UserError: files are corrupt.
    """
    source = SOURCES[name]
    missing = _missing(source, root)
    if missing and download:
        _download(name, root)
        missing = _missing(source, root)
    if missing:
        raise MissingFiles(
            "data-missing",
            f"missing data set {name}: {len(missing)} of its {len(source.checks)} files not found",
            where=str(root),
            value=missing[0],
            allowed="download it with --download, or name its folder with --data",
        )
    _refuse_corrupt(source, root)
    train, test = source.kind(str(root), train=True), source.kind(str(root), train=False)
    classes = tuple(str(label) for label in train.classes)
    folder = root / Path(next(iter(source.checks))).parent
    return _split(train, len(classes), folder), _split(test, len(classes), folder), classes


def _missing(source: OfficialFiles, root: Path) -> list[str]:
    return [file for file in source.checks if not (root / file).is_file()]


def _refuse_corrupt(source: OfficialFiles, root: Path) -> None:
    corrupt = [
        file for file, is_sound in source.checks.items() if (root / file).is_file() and not is_sound(root / file)
    ]
    if corrupt:
        more = f", and {len(corrupt) - 1} more like it" if len(corrupt) > 1 else ""
        raise UserError(
            "data-corrupt",
            f"truncated or corrupt file{more}",
            where=str(root / corrupt[0]),
            allowed="delete it, then download it with --download",
        )


def _download(name: str, root: Path) -> None:
    _refuse_corrupt(SOURCES[name], root)
    try:
        # Progress messages of torchvision must not mix with `--json` on standard output.
        with contextlib.redirect_stdout(sys.stderr):
            SOURCES[name].kind(str(root), download=True)
    except (OSError, RuntimeError, EOFError, tarfile.TarError, http.client.HTTPException) as error:
        raise MissingFiles("download-failed", f"cannot download {name}: {error}", where=str(root)) from error


def _split(part: Any, classes: int, folder: Path) -> Split:
    images = torch.as_tensor(part.data)
    images_NCHW = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()
    labels_N = torch.as_tensor(part.targets, dtype=torch.int64)
    if not 0 < len(images) == len(labels_N) or int(labels_N.max()) >= classes:
        raise UserError(
            "data-corrupt",
            f"corrupt files: {len(images)} images with {len(labels_N)} labels",
            where=str(folder),
            allowed=f"as many labels as images, each below {classes}; delete them, then download them with --download",
        )
    return Split(images_NCHW, labels_N)
