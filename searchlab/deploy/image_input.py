"""Converts files and arrays of users to pixels of the size that a network was trained on.

Shape suffixes: N images, C channels, H height, W width.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from searchlab.architecture import ImageSpec
from searchlab.data.image_files import as_image, channels_first, is_image, prepare, read
from searchlab.errors import UserError
from searchlab.record import Scales

ALLOWED = "paths, PIL images, or arrays of uint8 or of fractions from 0 to 1"


def pixels_of(images: Any, spec: ImageSpec, scales: Scales) -> Iterator[tuple[str, Tensor]]:
    """Yields pixels_NCHW (0 to 255, uint8 or float32) of images in parts, with the path of a file, else "".

    One image or several: paths of files, PIL images, numpy arrays or torch tensors, of uint8 or of fractions from 0 to
    1. An array is H,W or H,W,C or C,H,W, or several of them. Images of another size are converted by `prepare`, like
    files.

    Raises:
        UserError: a file is missing or unreadable, or an array has an invalid shape, type or range.
    """
    several = isinstance(images, list | tuple)
    if several and not images:
        raise UserError("invalid-images", "missing images", where="predict", value=images, allowed=ALLOWED)
    for position, image in enumerate(images if several else [images]):
        where = f"image {position}" if several else "images"
        if isinstance(image, str | Path):
            yield str(image), _of_file(Path(image).expanduser(), spec, scales)
        elif is_image(image):
            yield "", _of_rgb(prepare(image, (spec.width, spec.height), scales), spec)
        elif isinstance(image, Tensor | np.ndarray):
            for pixels_NCHW in _of_array(_as_numpy(image), spec, where, first=isinstance(image, Tensor)):
                yield "", pixels_NCHW
        else:
            raise UserError(
                "invalid-images", "invalid type of image", where=where, value=type(image).__name__, allowed=ALLOWED
            )


def _of_file(path: Path, spec: ImageSpec, scales: Scales) -> Tensor:
    if not path.is_file():
        raise UserError(
            "path-not-found", "image file not found", where="predict", value=str(path), allowed="paths of image files"
        )
    pixels_HWC = read(path, (spec.width, spec.height), scales)
    if pixels_HWC is None:
        raise UserError(
            "invalid-images", "unreadable image file", where="predict", value=str(path), allowed="such as PNG or JPEG"
        )
    return _of_rgb(pixels_HWC, spec)


def _of_rgb(pixels_HWC: NDArray[Any], spec: ImageSpec) -> Tensor:
    """Returns pixels_1CHW of a colour image, in grey if the network takes grey images."""
    return torch.from_numpy(channels_first(pixels_HWC, spec.channels))[None]


def _as_numpy(image: Any) -> NDArray[Any]:
    if not isinstance(image, Tensor):
        return np.asarray(image)
    # numpy has no bfloat16.
    return (image.detach().float() if image.dtype == torch.bfloat16 else image.detach()).cpu().numpy()


def _of_array(array: NDArray[Any], spec: ImageSpec, where: str, *, first: bool) -> Iterator[Tensor]:
    """Yields the pixels of an array. If its layout is ambiguous, `first` means that channels come first."""
    images_NHWC = _channels_last(array, spec, where, first=first)
    bytes_NHWC = _as_bytes(images_NHWC, where)
    if images_NHWC.shape[1:3] != (spec.height, spec.width):
        for image_HWC in bytes_NHWC.round().clip(0, 255).astype(np.uint8):
            rgb_HWC = np.broadcast_to(image_HWC, (*image_HWC.shape[:2], 3))
            yield _of_rgb(prepare(as_image(np.ascontiguousarray(rgb_HWC)), (spec.width, spec.height)), spec)
        return
    if spec.channels != images_NHWC.shape[3]:
        if spec.channels == 3:
            bytes_NHWC = np.repeat(bytes_NHWC, 3, axis=3)
        else:
            # The weights of ITU-R 601, as in Pillow.
            bytes_NHWC = (bytes_NHWC @ np.array([0.299, 0.587, 0.114]))[..., None]
    images_NCHW = bytes_NHWC.transpose(0, 3, 1, 2)
    yield torch.from_numpy(np.ascontiguousarray(images_NCHW, dtype=np.float32))


def _as_bytes(array: NDArray[Any], where: str) -> NDArray[Any]:
    """Converts values to 0 to 255."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array * np.uint8(255)
    if not np.issubdtype(array.dtype, np.floating):
        raise UserError(
            "invalid-images", "invalid type of pixels", where=where, value=str(array.dtype), allowed=ALLOWED
        )
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if not 0 <= low <= high <= 1:
        allowed = "fractions from 0 to 1, or uint8 from 0 to 255; they are normalised here"
        raise UserError(
            "invalid-images", "invalid range of pixels", where=where, value=f"{low:.4g} to {high:.4g}", allowed=allowed
        )
    return array * 255.0


def _channels_last(array: NDArray[Any], spec: ImageSpec, where: str, *, first: bool) -> NDArray[Any]:
    """Returns images_NHWC with one or three channels from an array in any usual layout."""
    shape, size = array.shape, (spec.height, spec.width)
    if array.ndim == 2:
        return array[None, :, :, None]
    orders: dict[str, tuple[int, tuple[int, ...]]] = {}
    """Layout to its number of channels, height and width."""
    if array.ndim == 3:
        orders = {"CHW": (shape[0], shape[1:]), "HWC": (shape[2], shape[:2]), "NHW": (1, shape[1:])}
        if shape[1:] != size:
            del orders["NHW"]
    elif array.ndim == 4:
        orders = {"CHW": (shape[1], shape[2:]), "HWC": (shape[3], shape[1:3])}
    possible = [order for order, (channels, _) in orders.items() if channels in (1, 3)]
    if not possible or 0 in shape:
        allowed = f"such as {spec.height},{spec.width},{spec.channels} or N,{spec.channels},{spec.height},{spec.width}"
        raise UserError("invalid-images", "invalid shape of images", where=where, value=shape, allowed=allowed)
    # Prefer the layout with the network's size and channels; else the usual one of tensors, or of arrays.
    usual = "CHW" if first else "HWC"
    order = min(possible, key=lambda each: (orders[each][1] != size, orders[each][0] != spec.channels, each != usual))
    if order == "NHW":
        return array[..., None]
    images = array[None] if array.ndim == 3 else array
    return images.transpose(0, 2, 3, 1) if order == "CHW" else images
