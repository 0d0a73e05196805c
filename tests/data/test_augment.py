import math
from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from raises import raises_code
from torchvision.transforms import functional as tv

from searchlab.candidate import Augmentation
from searchlab.data.augment import (
    STEPS,
    Draw,
    blank,
    check_augmentation,
    cutout,
    flip,
    magnify,
    mirror,
    recolour,
    rotate,
    shift,
    zoom,
)

EVERYTHING = Augmentation(flip="random", crop_pixels=2, cutout_pixels=3, colour=0.3, rotation_degrees=30, zoom=0.4)


def images(count=6, channels=3, height=7, width=9, seed=0):
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.integers(0, 256, (count, channels, height, width), dtype=np.uint8))


def draw(augmentation, count=6, channels=3, seed=0, epoch=0):
    coins = torch.arange(count) % 3 == 0
    return Draw(augmentation, epoch, torch.Generator().manual_seed(seed), coins, 100.4 * torch.ones(channels))


def test_mirror_against_numpy():
    batch, mirrored = images(), torch.tensor([True, False, False, True, True, False])
    for image, chosen, result in zip(batch, mirrored, mirror(batch, mirrored), strict=True):
        assert np.array_equal(result, image.numpy()[:, :, ::-1] if chosen else image)


@given(st.integers(2, 9), st.integers(2, 9), st.integers(1, 3), st.data())
def test_shift_against_padding_and_cutting(height, width, channels, data):
    most = min(height, width) - 1
    moves = data.draw(st.lists(st.tuples(*[st.integers(-most, most)] * 2), min_size=1, max_size=5))
    batch = images(len(moves), channels, height, width)
    results = shift(batch, *torch.tensor(moves).T)
    for image, (down, right), result in zip(batch.numpy(), moves, results, strict=True):
        padded = np.pad(image, ((0, 0), (most, most), (most, most)), mode="reflect")
        top, left = most + down, most + right
        assert np.array_equal(result, padded[:, top : top + height, left : left + width])


def rotated_pixel(image_HW, row, column, radians):
    """Bilinear value at a turned position, edges reflected, one pixel at a time."""
    H, W = image_HW.shape

    def inside(position, size):
        position = abs((position + 0.5) % (2 * size))
        return min(max(min(position, 2 * size - position) - 0.5, 0), size - 1)

    y, x = row - (H - 1) / 2, column - (W - 1) / 2
    source_y = inside(math.sin(radians) * x + math.cos(radians) * y + (H - 1) / 2, H)
    source_x = inside(math.cos(radians) * x - math.sin(radians) * y + (W - 1) / 2, W)
    top, left = math.floor(source_y), math.floor(source_x)
    value = 0.0
    for i, j in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        if i < H and j < W:
            value += (1 - abs(source_y - i)) * (1 - abs(source_x - j)) * image_HW[i, j]
    return value


def test_rotation_against_a_loop_over_pixels():
    batch, radians = images(4, 2), torch.tensor([0.3, -1.0, 2.5, 0.0])
    result = rotate(batch, radians)
    N, C, H, W = batch.shape
    expected = np.empty(batch.shape)
    for n, c, i, j in np.ndindex(N, C, H, W):
        expected[n, c, i, j] = rotated_pixel(batch[n, c].numpy(), i, j, radians[n].item())
    np.testing.assert_allclose(result, expected, atol=0.01)


def test_quarter_turn_of_a_square():
    batch = images(2, 3, 6, 6)
    torch.testing.assert_close(
        rotate(batch, torch.full((2,), math.pi / 2)), batch.float().rot90(1, (2, 3)), atol=0.01, rtol=0
    )


def test_windows_of_whole_pixels_against_torchvision():
    """But for the window's outermost pixels, where a resized crop does not see what is beside it."""
    batch, windows = images(3, 2, 12, 16), [(0, 0, 12, 16), (2, 4, 6, 8), (5, 3, 7, 11)]
    top, left, height, width = torch.tensor(windows, dtype=torch.float32).T
    down, right = top / (12 - height).clamp(min=1), left / (16 - width).clamp(min=1)
    results = magnify(batch, height / 12, width / 16, down, right)
    for image, window, result in zip(batch.float(), windows, results, strict=True):
        expected = tv.resized_crop(image, *window, [12, 16], antialias=True)
        torch.testing.assert_close(result[:, 2:-2, 2:-2], expected[:, 2:-2, 2:-2], atol=0.01, rtol=0)
    torch.testing.assert_close(results[0], batch[0].float(), atol=0.01, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 32), (64, 8)])
@pytest.mark.parametrize("least", [0.08, 0.5, 0.99])
def test_zoom_draws_windows_of_the_right_area_and_ratio_inside_the_image(monkeypatch, height, width, least):
    drawn = []
    monkeypatch.setattr("searchlab.data.augment.magnify", lambda images, *window: drawn.append(window) or images)
    zoom(torch.zeros(20_000, 1, height, width), draw(Augmentation(zoom=least), 20_000, 1))
    (window,) = drawn
    assert all(((share >= 0) & (share <= 1)).all() for share in window)
    tall, wide, down, right = window
    ratio = (wide * width) / (tall * height)
    if width >= height / 2:
        assert (tall * wide).min() >= least - 1e-5 and (tall * wide).mean() == pytest.approx((1 + least) / 2, abs=0.01)
        assert ratio.min() >= 3 / 4 - 1e-5 and ratio.max() <= 4 / 3 + 1e-5
        if width == height and least < 0.5:
            assert ratio.min() < 0.76 and ratio.max() > 1.32 and ratio.log().mean().abs() < 0.01
    for share in (down, right):
        assert share.mean() == pytest.approx(0.5, abs=0.01) and share.min() < 0.01 and share.max() > 0.99


@pytest.mark.parametrize("channels", [1, 3])
def test_colour_against_torchvision(channels):
    batch = images(channels=channels)
    factors = torch.rand(3, len(batch), generator=torch.Generator().manual_seed(0)) * 2
    for image, factor, result in zip(batch.float() / 255, factors.T.tolist(), recolour(batch, *factors), strict=True):
        expected = tv.adjust_contrast(tv.adjust_brightness(image, factor[0]), factor[1])
        expected = tv.adjust_saturation(expected, factor[2]) if channels == 3 else expected
        torch.testing.assert_close(result, expected * 255, atol=0.01, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_blank_against_a_loop_over_pixels(dtype):
    batch, corners = images().to(dtype), [(0, 0), (-2, 3), (5, 8), (-1, -1), (4, 2), (2, -2)]
    fill = torch.tensor([1.6, 2.0, 3.2])
    result = blank(batch, *torch.tensor(corners).T, 3, fill)
    for n, c, i, j in np.ndindex(*batch.shape):
        top, left = corners[n]
        inside = top <= i < top + 3 and left <= j < left + 3
        colour = fill[c].round() if dtype == torch.uint8 else fill[c]
        assert result[n, c, i, j] == (colour if inside else batch[n, c, i, j])


def test_alternating_flip_shows_both_sides_in_two_epochs():
    batch, alternating = images(), Augmentation(flip="alternating")
    first, second, third = (flip(batch, draw(alternating, seed=epoch, epoch=epoch)) for epoch in range(3))
    assert torch.equal(first, mirror(batch, draw(alternating).coins_N))
    assert torch.equal(second, first.flip(3)) and torch.equal(third, first)


def test_random_flip_mirrors_about_half():
    batch = images(1000)
    flipped = flip(batch, draw(Augmentation(flip="random"), 1000))
    mirrored = (flipped != batch).flatten(1).any(1)
    assert 400 < mirrored.sum() < 600
    assert torch.equal(flipped, mirror(batch, mirrored))


def test_cutout_centres_reach_every_corner_and_at_most_a_square_is_blank():
    batch = torch.zeros((3000, 1, 7, 9), dtype=torch.uint8)
    blanks = cutout(batch, draw(Augmentation(cutout_pixels=3), 3000, 1)) == 100
    assert blanks.flatten(1).any(1).all() and blanks.sum(dim=(1, 2, 3)).max() == 9
    assert blanks[:, 0].any(0).all()


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("channels", [1, 3])
def test_contract(step, channels):
    """What every step promises."""
    batch = images(channels=channels)
    before = batch.clone()
    assert step(batch, draw(Augmentation(), channels=channels)) is batch
    result = step(batch, draw(EVERYTHING, channels=channels))
    assert result.shape == batch.shape and result.dtype in (torch.uint8, torch.float32)
    assert result.min() >= 0 and result.max() <= 255
    assert not torch.equal(result.float(), batch.float()) and torch.equal(batch, before)
    assert torch.equal(result, step(batch, draw(EVERYTHING, channels=channels)))
    assert not torch.equal(result, step(batch, draw(EVERYTHING, channels=channels, seed=1)))
    fractions = step(batch.float(), draw(EVERYTHING, channels=channels))
    torch.testing.assert_close(fractions, result.float(), atol=0.5, rtol=0)


@pytest.mark.parametrize("field", [field.name for field in fields(Augmentation)])
def test_every_field_has_exactly_one_step(field):
    only = Augmentation(**{field: getattr(EVERYTHING, field)})
    assert sum(step(images(), draw(only)).tolist() != images().tolist() for step in STEPS.values()) == 1


def test_a_step_is_as_strong_as_the_recipe_says():
    numbers = draw(Augmentation(), 10_000)
    whole, fraction = numbers.integers(-2, 2), numbers.around(1.0, 0.25)
    assert whole.unique().tolist() == [-2, -1, 0, 1, 2]
    assert 0.75 <= fraction.min() < 0.76 and 1.24 < fraction.max() <= 1.25


@pytest.mark.parametrize("field", ["crop_pixels", "cutout_pixels"])
def test_steps_as_large_as_the_image_are_refused(field):
    check_augmentation(Augmentation(**{field: 6}), 7, 9)
    with raises_code("invalid-augmentation", where=f"training.augmentation.{field}", value=7, mentions="0 to 6"):
        check_augmentation(Augmentation(**{field: 7}), 7, 9)
