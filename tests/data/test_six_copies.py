import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from searchlab.data.batches import Normaliser
from searchlab.data.six_copies import (
    DRAWS,
    VERSIONS,
    SixCopiesBatches,
    as_it_is,
    enlarged,
    mirrored,
    move_hue,
    recoloured,
    translated,
    turned,
)
from searchlab.data.splits import Split

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.1)
HEIGHT, WIDTH = 16, 24


def pixels(count=6, channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (count, channels, HEIGHT, WIDTH)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def draws(count=6, seed=0):
    return torch.rand(count, DRAWS, generator=torch.Generator().manual_seed(seed))


def batches(count=7, channels=3, batch_size=16, seed=0, device="cpu"):
    """The label of an image is its number."""
    split = Split(pixels(count, channels), torch.arange(count)).to(device)
    normaliser = Normaliser(*(torch.tensor(each[:channels], device=device) for each in (MEAN, STD)))
    return SixCopiesBatches(split, normaliser, batch_size, seed)


def one_by_one(version, change):
    """The version against a function of (image in 0..1, draws), image by image; mirrored where the draw says so."""
    images, drawn = pixels().float(), draws()
    found = version(images, drawn)
    assert found.shape == images.shape
    for image, draw, result in zip(images / 255, drawn.tolist(), found, strict=True):
        expected = change(tv.hflip(image) if draw[0] < 0.5 else image, draw)
        torch.testing.assert_close(result / 255, expected, atol=1e-4, rtol=0)


def test_the_first_two_versions_are_the_image_and_its_mirror_image():
    images = pixels().float()
    assert torch.equal(as_it_is(images, draws()), images)
    assert torch.equal(mirrored(images, draws()), images.flip(3))


def test_translation_against_torchvision():
    def change(image, draw):
        top, left = int(9 * draw[1]), int(9 * draw[2])
        return tv.crop(tv.pad(image, 4), top, left, HEIGHT, WIDTH)

    one_by_one(translated, change)


def test_enlargement_against_torchvision():
    def change(image, draw):
        larger = tv.resize(image, [18, 27], antialias=True)
        return tv.crop(larger, int(3 * draw[1]), int(4 * draw[2]), HEIGHT, WIDTH)

    one_by_one(enlarged, change)


def test_rotation_against_torchvision():
    one_by_one(turned, lambda image, draw: tv.rotate(image, 180 * (draw[1] - 0.5), InterpolationMode.BILINEAR))


def test_colour_against_torchvision():
    def change(image, draw):
        image = tv.adjust_contrast(tv.adjust_brightness(image, 0.5 + draw[1]), 0.5 + draw[2])
        return tv.adjust_hue(tv.adjust_saturation(image, 0.5 + draw[3]), draw[4] - 0.5)

    one_by_one(recoloured, change)


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=5), st.floats(-0.5, 0.5))
def test_hue_against_torchvision(colours, turn):
    """Greys and colours with two equal parts among them."""
    images = torch.tensor(colours, dtype=torch.float32)[:, :, None, None]
    found = move_hue(images, torch.full((len(colours),), turn))
    torch.testing.assert_close(found / 255, tv.adjust_hue(images / 255, turn), atol=1e-4, rtol=0)


def test_grey_images_have_neither_hue_nor_saturation():
    images, drawn = pixels(channels=1).float(), draws()
    other = drawn.clone()
    other[:, 3:] = 1 - other[:, 3:]
    assert torch.equal(recoloured(images, drawn), recoloured(images, other))


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.__name__)
@pytest.mark.parametrize("channels", [1, 3])
def test_contract(version, channels):
    """What every version promises."""
    images = pixels(40, channels).float()
    before = images.clone()
    found = version(images, draws(40))
    assert found.shape == images.shape and found.dtype == torch.float32
    assert found.min() >= 0 and found.max() <= 255 + 1e-3
    assert torch.equal(images, before)
    if version not in (as_it_is, mirrored):
        assert not torch.equal(found, version(images, draws(40, seed=1)))


@pytest.mark.parametrize("version", [translated, enlarged, turned, recoloured])
def test_half_of_the_other_versions_are_mirrored(version):
    """A draw below a half mirrors, and changes nothing else."""
    images, drawn = pixels().float(), draws()
    drawn[:, 0] = 0.2
    straight = drawn.clone()
    straight[:, 0] = 0.7
    assert torch.equal(version(images, drawn), version(images.flip(3), straight))


def shown(loader, epoch):
    """Every pair of an epoch once: (image number, its pixels as bytes), the filling at the end left out."""
    found = [
        (label, image.numpy().tobytes())
        for images, labels in loader.epoch(epoch)
        for image, label in zip(images, labels.tolist(), strict=True)
    ]
    return found[: 6 * len(loader.split)]


def test_every_epoch_shows_the_same_six_versions_of_every_image_in_another_order():
    loader = batches()
    first, second = shown(loader, 0), shown(loader, 1)
    assert first != second and sorted(first) == sorted(second)
    assert sorted(label for label, _ in first) == sorted(6 * list(range(7)))
    assert len(set(first)) == 42
    assert shown(loader, 0) == first == shown(batches(), 0)
    assert sorted(shown(batches(seed=1), 0)) != sorted(first)


def test_two_of_the_six_are_the_image_and_its_mirror_image():
    loader = batches()
    plain = loader.normaliser(pixels(7))
    pairs = set(shown(loader, 3))
    for number, image in enumerate(plain):
        assert {(number, image.numpy().tobytes()), (number, image.flip(2).contiguous().numpy().tobytes())} <= pairs


@given(st.integers(1, 12), st.integers(1, 100))
def test_batches_of_one_size(count, batch_size):
    loader = batches(count, batch_size=batch_size)
    found = list(loader.epoch(0))
    assert len(found) == loader.steps == math.ceil(6 * count / batch_size)
    sizes = {len(images) for images, _ in found} | {len(labels) for _, labels in found}
    assert sizes == {min(batch_size, 6 * count)}


def test_what_is_augmented_together_does_not_matter(monkeypatch):
    expected = list(batches(count=20).epoch(2))
    monkeypatch.setattr("searchlab.data.six_copies.TOGETHER", 48)
    for (images, labels), (others, other_labels) in zip(expected, batches(count=20).epoch(2), strict=True):
        torch.testing.assert_close(images, others)
        assert torch.equal(labels, other_labels)


def test_batches_are_normalised_and_channels_last():
    images, labels = next(batches().epoch(0))
    assert images.dtype == torch.float32 and images.is_contiguous(memory_format=torch.channels_last)
    assert labels.dtype == torch.int64


def test_only_the_draws_are_kept():
    loader = batches()
    list(loader.epoch(0))
    kept = [value for name, value in vars(loader).items() if name not in ("split", "normaliser")]
    assert sum(value.numel() for value in kept if isinstance(value, torch.Tensor)) == 7 * 6 * DRAWS


def test_global_random_numbers_are_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    list(batches().epoch(0))
    assert torch.rand(1) == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_batches_are_made_there_and_repeat():
    found = list(batches(device="cuda").epoch(1))
    assert all(tensor.is_cuda for batch in found for tensor in batch)
    for (images, labels), (others, other_labels) in zip(found, batches(device="cuda").epoch(1), strict=True):
        assert torch.equal(images, others) and torch.equal(labels, other_labels)
