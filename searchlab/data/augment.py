"""Augmentation of whole batches as tensor operations on their device.

Images keep the scale 0..255: they stay uint8 until a step needs fractions (rotation, colour), which makes them float32.
Shape suffixes: N images in the batch, C channels, H height, W width.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from searchlab.candidate import Augmentation
from searchlab.errors import UserError

Padding = Literal["reflection", "border", "zeros"]
"""Padding beyond an image's edge: mirror image, last pixels, or black."""

LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""


@dataclass(frozen=True)
class Draw:
    """Inputs of an augmentation step: recipe, epoch, random numbers, a fixed coin per image, mean pixel (0..255)."""

    augmentation: Augmentation
    epoch: int
    generator: torch.Generator
    coins_N: Tensor
    fill_C: Tensor

    def integers(self, low: int, high: int) -> Tensor:
        """Draws one integer per image, from low to high, both included; shape N."""
        shape = self.coins_N.shape
        return torch.randint(low, high + 1, shape, generator=self.generator, device=self.coins_N.device)

    def around(self, centre: float, radius: float) -> Tensor:
        """Draws one number per image, uniform in centre ± radius; shape N."""
        uniform = torch.rand(self.coins_N.shape, generator=self.generator, device=self.coins_N.device)
        return centre + radius * (2 * uniform - 1)


def check_augmentation(augmentation: Augmentation, height: int, width: int) -> None:
    """Checks that the augmentation fits images of this size.

    Raises:
        UserError: a crop or a cutout as large as the image.
    """
    for field in ("crop_pixels", "cutout_pixels"):
        value = getattr(augmentation, field)
        if value >= min(height, width):
            raise UserError(
                "invalid-augmentation",
                "too large for the images",
                where=f"training.augmentation.{field}",
                value=value,
                allowed=f"0 to {min(height, width) - 1} for {height}x{width} pixels",
            )


def mirror(images_NCHW: Tensor, mirrored_N: Tensor) -> Tensor:
    """Mirrors the chosen images."""
    N, C, H, W = images_NCHW.shape
    columns_W = torch.arange(W, device=images_NCHW.device)
    columns_NW = torch.where(mirrored_N[:, None], W - 1 - columns_W, columns_W)
    # A gather is several times faster than `flip` and `where` on bytes (measured on a CPU).
    index = columns_NW[:, None, :].expand(N, C * H, W)
    return images_NCHW.reshape(N, C * H, W).gather(2, index).view(N, C, H, W)


def shift(images_NCHW: Tensor, down_N: Tensor, right_N: Tensor) -> Tensor:
    """Shifts windows of the images' own size down and right; the image is reflected at its edges."""
    _, _, H, W = images_NCHW.shape
    rows_NH = _reflected(down_N[:, None] + torch.arange(H, device=images_NCHW.device), H)
    columns_NW = _reflected(right_N[:, None] + torch.arange(W, device=images_NCHW.device), W)
    return pick(images_NCHW, rows_NH, columns_NW)


def pick(images_NCHW: Tensor, rows_NH: Tensor, columns_NW: Tensor) -> Tensor:
    """Gathers the pixels at the given rows and columns of each image; any number of either."""
    N, C, H, W = images_NCHW.shape
    index = (rows_NH[:, :, None] * W + columns_NW[:, None, :]).view(N, 1, -1).expand(N, C, -1)
    picked = images_NCHW.reshape(N, C, H * W).gather(2, index)
    return picked.view(N, C, rows_NH.shape[1], columns_NW.shape[1])


def _reflected(position: Tensor, size: int) -> Tensor:
    return (size - 1) - ((size - 1) - position.abs()).abs()


def rotate(images_NCHW: Tensor, radians_N: Tensor, *, padding: Padding = "reflection") -> Tensor:
    """Rotates images counter-clockwise about their centre, bilinear; float32. `padding` fills the corners."""
    _, _, H, W = images_NCHW.shape
    cosine, sine, zero = radians_N.cos(), radians_N.sin(), torch.zeros_like(radians_N)
    return _sample(images_NCHW, (cosine, -sine * H / W, zero, sine * W / H, cosine, zero), padding)


def magnify(images_NCHW: Tensor, height_N: Tensor, width_N: Tensor, down_N: Tensor, right_N: Tensor) -> Tensor:
    """A window of each image at the image's own size, bilinear; float32.

    Height and width are shares of the image's, in 0..1; `down_N` and `right_N` are shares of the room that they leave.
    """
    zero = torch.zeros_like(width_N)
    across, along = (1 - width_N) * (2 * right_N - 1), (1 - height_N) * (2 * down_N - 1)
    return _sample(images_NCHW, (width_N, zero, across, zero, height_N, along), "border")


def _sample(images_NCHW: Tensor, rows: tuple[Tensor, ...], padding: Padding) -> Tensor:
    """Applies an affine map per image: the six entries of its two rows, in the coordinates of `affine_grid`."""
    grid = F.affine_grid(torch.stack(rows, dim=1).view(-1, 2, 3), list(images_NCHW.shape), align_corners=False)
    return F.grid_sample(images_NCHW.float(), grid, padding_mode=padding, align_corners=False)


def recolour(images_NCHW: Tensor, brightness_N: Tensor, contrast_N: Tensor, saturation_N: Tensor) -> Tensor:
    """Multiplies brightness, contrast and saturation by factors, in this order, as torchvision does; float32."""
    images = _blend(images_NCHW.float(), torch.zeros((), device=images_NCHW.device), brightness_N)
    images = _blend(images, _grey(images).mean(dim=(1, 2, 3), keepdim=True), contrast_N)
    return _blend(images, _grey(images), saturation_N)


def _blend(images_NCHW: Tensor, other: Tensor, factor_N: Tensor) -> Tensor:
    return torch.lerp(other, images_NCHW, factor_N[:, None, None, None]).clamp_(0, 255)


def _grey(images_NCHW: Tensor) -> Tensor:
    if images_NCHW.shape[1] == 1:
        return images_NCHW
    red, green, blue = images_NCHW.split_with_sizes([1, 1, 1], dim=1)
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def blank(images_NCHW: Tensor, top_N: Tensor, left_N: Tensor, size: int, fill_C: Tensor) -> Tensor:
    """Fills a square of `size` pixels, given by its upper left corner and clipped by the image, with one colour."""
    _, _, H, W = images_NCHW.shape
    rows_NH = torch.arange(H, device=images_NCHW.device) - top_N[:, None]
    columns_NW = torch.arange(W, device=images_NCHW.device) - left_N[:, None]
    inside_H, inside_W = (rows_NH >= 0) & (rows_NH < size), (columns_NW >= 0) & (columns_NW < size)
    inside = (inside_H[:, :, None] & inside_W[:, None, :])[:, None]
    fill = fill_C if images_NCHW.is_floating_point() else fill_C.round()
    return torch.where(inside, fill.to(images_NCHW.dtype)[:, None, None], images_NCHW)


def flip(images_NCHW: Tensor, draw: Draw) -> Tensor:
    """Mirrors half of the images: at random, or alternating (drawn once; the other half in every second epoch).

    Alternating flips show every image both ways in any two epochs (Jordan 2024, "94 % on CIFAR-10 in 3.29 seconds").
    """
    match draw.augmentation.flip:
        case "none":
            return images_NCHW
        case "random":
            return mirror(images_NCHW, draw.integers(0, 1) == 1)
        case "alternating":
            return mirror(images_NCHW, draw.coins_N ^ (draw.epoch % 2 == 1))


def crop(images_NCHW: Tensor, draw: Draw) -> Tensor:
    """Shifts a window by at most `crop_pixels` each way."""
    if not (most := draw.augmentation.crop_pixels):
        return images_NCHW
    return shift(images_NCHW, draw.integers(-most, most), draw.integers(-most, most))


def zoom(images_NCHW: Tensor, draw: Draw) -> Tensor:
    """Random resized crop: a window of at least the share `zoom` of the area, aspect ratio 3 to 4 up to 4 to 3.

    Two differences from torchvision's RandomResizedCrop: windows may lie between pixels, and the ratio (log-uniform) is
    drawn from those that fit, where torchvision tries ten times.
    """
    least = draw.augmentation.zoom
    if least == 1:
        return images_NCHW
    _, _, H, W = images_NCHW.shape
    area_N, most, whole = draw.around((1 + least) / 2, (1 - least) / 2), math.log(4 / 3), math.log(W / H)
    low_N, high_N = (whole + area_N.log()).clamp(min=-most), (whole - area_N.log()).clamp(max=most)
    ratio_N = torch.lerp(low_N, high_N, draw.around(0.5, 0.5)).exp()
    # Images with an aspect ratio beyond 3 to 4 may have no such window.
    height_N, width_N = (area_N / ratio_N * W / H).sqrt().clamp(max=1), (area_N * ratio_N * H / W).sqrt().clamp(max=1)
    return magnify(images_NCHW, height_N, width_N, draw.around(0.5, 0.5), draw.around(0.5, 0.5))


def rotation(images_NCHW: Tensor, draw: Draw) -> Tensor:
    """Rotates by at most `rotation_degrees` each way."""
    if not (most := draw.augmentation.rotation_degrees):
        return images_NCHW
    return rotate(images_NCHW, draw.around(0.0, math.radians(most)))


def colour(images_NCHW: Tensor, draw: Draw) -> Tensor:
    """Multiplies brightness, contrast and saturation by 1 ± `colour` each."""
    if not (most := draw.augmentation.colour):
        return images_NCHW
    return recolour(images_NCHW, draw.around(1.0, most), draw.around(1.0, most), draw.around(1.0, most))


def cutout(images_NCHW: Tensor, draw: Draw) -> Tensor:
    """Fills a square of the mean colour, centred anywhere in the image (DeVries & Taylor 2017)."""
    if not (size := draw.augmentation.cutout_pixels):
        return images_NCHW
    _, _, H, W = images_NCHW.shape
    top_N, left_N = draw.integers(0, H - 1) - size // 2, draw.integers(0, W - 1) - size // 2
    return blank(images_NCHW, top_N, left_N, size, draw.fill_C)


STEPS: dict[str, Callable[[Tensor, Draw], Tensor]] = {
    "flip": flip,
    "crop": crop,
    "zoom": zoom,
    "rotation": rotation,
    "colour": colour,
    "cutout": cutout,
}
"""Every step by name, in order. Steps on bytes are cheap and come first; the square is last: nothing distorts it."""
