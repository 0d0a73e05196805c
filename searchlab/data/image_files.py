"""Image files to pixels, with one scale for a whole data set.

Bytes are used unchanged. Other numbers are scaled by the smallest range that holds all of them in the data set.
Transparent images get one background. Images that would be read as nearly black are refused.
Shape suffixes: C channels, H height, W width.
"""

import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from searchlab.errors import UserError
from searchlab.record import Scales

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Extensions of image files."""

RANGES = (1, 255, 1023, 4095, 16383, 65535)
"""Maxima by which images are scaled: of fractions and masks, and of 8, 10, 12, 14 and 16 bits."""

UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, MemoryError, Image.DecompressionBombError)
"""Exceptions of Pillow for unreadable files."""

LIGHT = 204
"""Mean lightness from which transparent images get a black background, because they would be invisible on white."""

ANIMATED = frozenset({"GIF", "PNG", "WEBP", "TIFF"})

Size = int | tuple[int, int]
"""Pixels that an image gets: of each side, or its width and height."""

Kind = Literal["bytes", "integers", "floats", "deep colour"]
"""Kinds of pixels: 8 bits a channel, wider integers, fractions, or colour of 16 bits, of which Pillow reads 8."""


@dataclass(frozen=True)
class Look:
    """Properties of a file that decide its data set's scales.

    `low` and `high` are the range of its values (NaN if one is not finite); 0 for plain bytes. If any pixel is
    transparent, `visible` is the sum of opacities, and `light` the sum of grey levels times opacities.
    """

    width: int
    height: int
    kind: Kind = "bytes"
    low: float = 0.0
    high: float = 0.0
    animated: bool = False
    visible: float = 0.0
    light: float = 0.0
    transparent: bool = False


def look(file: Path) -> Look | None:
    """Inspects a file; most are opened, not decoded. None: it cannot be read."""
    try:
        with _opened(file) as image:
            kind, animated = _kind(image), image.format in ANIMATED and bool(getattr(image, "is_animated", False))
            low, high = _range(image) if kind != "bytes" else (0.0, 0.0)
            transparent, visible, light = _visible(image) if _may_be_transparent(image) else (False, 0.0, 0.0)
            return Look(*image.size, kind, low, high, animated, visible, light, transparent)
    except UNREADABLE:
        return None


def scales_of(files: Sequence[Path], looks: Sequence[Look]) -> Scales:
    """Determines the scales that all images of a data set share.

    Raises:
        UserError: values outside the ranges, or colour that Pillow would read as black.
    """
    for kind, names in (("integers", "integer images"), ("floats", "floating-point images")):
        out = [n for n, seen in enumerate(looks) if seen.kind == kind and not 0 <= seen.low <= seen.high <= RANGES[-1]]
        if out:
            raise UserError(
                "invalid-images",
                f"{len(out)} {names} hold values outside 0 to {RANGES[-1]:,}",
                value=shown(files[out[0]]),
                allowed="save them with 8 or 16 bits a pixel, all of them on one scale",
            )
    deep = [n for n, seen in enumerate(looks) if seen.kind == "deep colour"]
    # Pillow reads the upper 8 of 16 bits per channel.
    if deep and (highest := max(looks[n].high for n in deep)) < 128:
        raise UserError(
            "invalid-images",
            f"{len(deep)} colour images of 16 bits a channel have no value above {256 * highest + 255:,.0f} of 65,535",
            value=shown(files[deep[0]]),
            allowed="they would be read as nearly black: save them with 8 bits a channel",
        )
    clear = [seen for seen in looks if seen.transparent]
    visible, light = sum(seen.visible for seen in clear), sum(seen.light for seen in clear)
    background = 0 if visible and light / visible > LIGHT else 255
    return Scales(_holding(looks, "integers", 65535), _holding(looks, "floats", 255), background)


def notes_on(looks: Sequence[Look], scales: Scales) -> tuple[str, ...]:
    """Notes on images that are not plain bytes, one line each."""
    notes, counts = [], Counter[str](seen.kind for seen in looks)
    for kind, most in (("integers", scales.integers), ("floats", scales.floats)):
        if counts[kind]:
            highest = max(seen.high for seen in looks if seen.kind == kind)
            notes.append(f"{_images(counts[kind])} of {kind} up to {highest:,.6g}: 0 to {most:,} is black to white")
    if counts["deep colour"]:
        notes.append(f"{_images(counts['deep colour'])} of 16 bits a channel: the upper 8 are used")
    if clear := sum(seen.transparent for seen in looks):
        notes.append(f"{_images(clear)} with transparent parts: laid on {'white' if scales.background else 'black'}")
    if animated := sum(seen.animated for seen in looks):
        notes.append(f"{_images(animated)} of several frames or pages: the first is used")
    return tuple(notes)


def read(file: Path, size: Size, scales: Scales) -> NDArray[np.uint8] | None:
    """Reads a file as height, width, RGB by `prepare`; None if it cannot be read."""
    try:
        with _opened(file) as opened:
            return prepare(opened, size, scales)
    except UNREADABLE:
        return None


def prepare(image: Image.Image, size: Size, scales: Scales | None = None) -> NDArray[np.uint8]:
    """Converts an image to pixels_HWC (RGB, uint8): the only way from an image to a network's input, also deployed.

    Steps: rotation by EXIF data, conversion to bytes, resizing of the shorter side to `size` (bilinear, antialiased),
    and a centre crop, so that the aspect ratio is kept.
    """
    upright = ImageOps.exif_transpose(image)
    wanted = (size, size) if isinstance(size, int) else size
    return np.asarray(ImageOps.fit(_rgb(upright, scales or Scales()), wanted, Image.Resampling.BILINEAR))


def channels_first(pixels_HWC: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Returns pixels_CHW of pixels in RGB, in grey if one channel is wanted."""
    if channels == 1:
        pixels_HWC = np.asarray(as_image(pixels_HWC).convert("L"))[:, :, None]
    return np.array(pixels_HWC.transpose(2, 0, 1), order="C")


def is_image(value: object) -> bool:
    """Whether something is an image of Pillow's."""
    return isinstance(value, Image.Image)


def as_image(pixels: NDArray[np.uint8]) -> Image.Image:
    """pixels_HW or pixels_HWC (RGB) as an image of Pillow's."""
    return Image.fromarray(pixels)


def shown(path: Path | str) -> str:
    """Formats a path for a message; bytes that are not UTF-8 are escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _opened(file: Path) -> Image.Image:
    if not stat.S_ISREG(file.stat().st_mode):
        # Opening a pipe would block for ever.
        raise OSError("no regular file")
    return Image.open(file)


def _kind(image: Image.Image) -> Kind:
    if image.mode == "F":
        return "floats"
    if image.mode.startswith("I"):
        return "integers"
    # The last entry of a tile is the layout of the pixels in the file, such as "RGB;16B".
    if any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())):
        return "deep colour"
    return "bytes"


def _range(image: Image.Image) -> tuple[float, float]:
    values: NDArray[Any] = np.asarray(image.convert("RGB") if image.mode in ("RGB", "RGBA", "LA") else image)
    return float(values.min()), float(values.max())


def _may_be_transparent(image: Image.Image) -> bool:
    return not image.mode.startswith(("I", "F")) and image.has_transparency_data


def _visible(image: Image.Image) -> tuple[bool, float, float]:
    """Returns whether any pixel is transparent, the sum of opacities (0..1), and of grey levels times opacities."""
    rgba = image.convert("RGBA")
    opacity_HW = np.asarray(rgba.getchannel("A"), np.float64) / 255
    if opacity_HW.min() == 1:
        return False, 0.0, 0.0
    grey_HW = np.asarray(rgba.convert("RGB").convert("L"), np.float64)
    return True, float(opacity_HW.sum()), float((grey_HW * opacity_HW).sum())


def _holding(looks: Sequence[Look], kind: Kind, usual: int) -> int:
    """Returns the least of `RANGES` that holds all values of a kind; `usual` if there are none."""
    values = [seen.high for seen in looks if seen.kind == kind]
    return next(most for most in RANGES if max(values) <= most) if values else usual


def _rgb(image: Image.Image, scales: Scales) -> Image.Image:
    if image.mode.startswith("I"):
        values: NDArray[Any] = np.asarray(image).astype(np.int64) * 255 // scales.integers
        return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F" and scales.floats != 255:
        scaled = (np.asarray(image) * (255 / scales.floats)).round().clip(0, 255)
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if _may_be_transparent(image):
        rgba = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (scales.background,) * 3 + (255,))
        return Image.alpha_composite(ground, rgba).convert("RGB")
    return image.convert("RGB")


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
