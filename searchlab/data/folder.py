"""A folder of images as a data set: a folder per class, split by us or into train and test by the user.

Shape suffixes: N images, C channels, H height, W width.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from searchlab.data.splits import Dataset, Parts, Split, assemble, three_way, with_validation
from searchlab.errors import UserError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""What counts as an image; other files in a class folder are passed over."""

DEFAULT_SIZE = 32

Files = list[tuple[Path, int]]
"""Images and their labels."""


def load_folder(path: Path, size: int = DEFAULT_SIZE) -> Dataset:
    """The images below `path` at `size` x `size` pixels: the shorter side resized, the middle cut out.

    Either `path` holds a folder per class and is split here, or it holds `train`, `test` and perhaps `validation`, each
    with a folder per class. Classes are sorted by name. One channel if every image is grey, else three.

    Raises:
        UserError: the folder is absent or not laid out like that, has one class, an empty class, unreadable images, or
            other classes in one split than in another.
    """
    if not path.is_dir():
        raise UserError("no such folder of images", where="data", value=str(path))
    folders = _split_folders(path)
    class_names = _class_names(folders[0])
    for folder in folders[1:]:
        _refuse_other_classes(folders[0], class_names, folder)
    listed = [_files(folder, class_names) for folder in folders]
    images_NCHW = _read_all([file for files in listed for file, _ in files], path, size)
    labels_N = torch.tensor([label for files in listed for _, label in files])
    sizes = [len(files) for files in listed]
    given = [Split(*part) for part in zip(torch.split(images_NCHW, sizes), torch.split(labels_N, sizes), strict=True)]
    try:
        return assemble(f"folder:{path}", _parts(given, class_names), class_names)
    except UserError as error:
        raise UserError(error.what, where=str(path), value=error.value, allowed=error.allowed) from error


def _parts(given: list[Split], class_names: list[str]) -> Parts:
    match given:
        case [everything]:
            return three_way(everything, class_names)
        case [train, test]:
            return with_validation(train, test, class_names)
        case [train, test, validation]:
            return train, validation, test
    raise AssertionError(f"{len(given)} splits")


def _split_folders(path: Path) -> list[Path]:
    """The folder itself, or train, test and, where there is one, validation."""
    # A class may be called "train": only a folder of folders is a split.
    inside = {name: path / name for name in ("train", "test", "validation") if _folders(path / name)}
    if not inside:
        return [path]
    if not {"train", "test"} <= inside.keys():
        raise UserError(
            "incomplete splits of an image folder",
            where=str(path),
            value=", ".join(inside),
            allowed="class folders in train and test (validation may be added), or class folders alone",
        )
    return list(inside.values())


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _class_names(folder: Path) -> list[str]:
    names = [entry.name for entry in _folders(folder)]
    if len(names) < 2:
        raise UserError(
            "too few classes in an image folder",
            where=str(folder),
            value=", ".join(names) or "none",
            allowed="at least two folders, each with the images of one class",
        )
    return names


def _refuse_other_classes(first: Path, class_names: list[str], other: Path) -> None:
    difference = sorted(set(class_names) ^ {entry.name for entry in _folders(other)})
    if difference:
        raise UserError(
            f"classes differ from those of {first.name}",
            where=str(other),
            value=", ".join(difference),
            allowed="the same class folders in every split",
        )


def _files(folder: Path, class_names: list[str]) -> Files:
    listed: Files = []
    for label, name in enumerate(class_names):
        files = sorted(file for file in (folder / name).rglob("*") if file.suffix.lower() in SUFFIXES)
        if not files:
            raise UserError(
                "class without images", where=str(folder), value=name, allowed=f"files in {', '.join(sorted(SUFFIXES))}"
            )
        listed += [(file, label) for file in files]
    return listed


def _read_all(files: list[Path], path: Path, size: int) -> torch.Tensor:
    """All images as uint8 images_NCHW, in order; decoded in threads, which Pillow's decoders allow."""
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(partial(_read, size=size), files))
    unreadable = [str(file.relative_to(path)) for file, image in zip(files, images, strict=True) if image is None]
    if unreadable:
        raise UserError(
            f"{len(unreadable)} of {len(files)} images cannot be read",
            where=str(path),
            value=", ".join(unreadable[:3]) + (", …" if len(unreadable) > 3 else ""),
            allowed="remove or replace them",
        )
    images_NHWC = np.stack([image for image in images if image is not None])
    is_grey = bool((images_NHWC == images_NHWC[..., :1]).all())
    return torch.from_numpy(np.ascontiguousarray(images_NHWC[..., : 1 if is_grey else 3].transpose(0, 3, 1, 2)))


def _read(file: Path, size: int) -> NDArray[np.uint8] | None:
    """An image as height, width, RGB; None if it cannot be read."""
    try:
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):
                # 16 bits a pixel: Pillow itself would clip them at 255.
                image = Image.fromarray((np.asarray(image) // 257).clip(0, 255).astype(np.uint8))
            return np.asarray(ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return None
