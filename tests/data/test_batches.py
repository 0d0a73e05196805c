import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from raises import raises_code
from torchvision.transforms import functional as tv

from searchlab.candidate import Augmentation
from searchlab.data.batches import Normaliser, TrainBatches, evaluation_batches, seeded_generator
from searchlab.data.splits import Split

EVERYTHING = Augmentation(flip="alternating", crop_pixels=2, cutout_pixels=3, colour=0.3, rotation_degrees=30)
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.1)


def normaliser(device="cpu"):
    return Normaliser(torch.tensor(MEAN, device=device), torch.tensor(STD, device=device))


def split(count, height=8, width=10):
    """Random images; the label of an image is its number."""
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=random)
    return Split(pixels, torch.arange(count))


def batches(count=50, augmentation=EVERYTHING, batch_size=16, seed=0, device="cpu"):
    return TrainBatches(split(count).to(device), normaliser(device), augmentation, batch_size, seed)


def same(one, other):
    return all(torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(list(one), list(other), strict=True))


@pytest.mark.parametrize("as_float", [False, True])
def test_normaliser_against_torchvision(as_float):
    images = split(5).images_NCHW
    result = normaliser()(images.float() if as_float else images)
    torch.testing.assert_close(result, tv.normalize(images / 255, MEAN, STD), atol=1e-5, rtol=1e-5)
    assert result.dtype == torch.float32 and result.is_contiguous(memory_format=torch.channels_last)


@given(st.integers(1, 60), st.integers(1, 30), st.integers(0, 3))
def test_every_image_in_batches_of_one_size(count, batch_size, epoch):
    loader = batches(count, Augmentation(), batch_size)
    found = list(loader.epoch(epoch))
    assert len(found) == loader.steps
    assert {len(images) for images, _ in found} == {len(labels) for _, labels in found} == {min(count, batch_size)}
    order = torch.cat([labels for _, labels in found]).tolist()
    assert sorted(order[:count]) == list(range(count))
    assert order[count:] == order[: len(order) - count]


def test_without_augmentation_images_are_those_of_the_split():
    loader = batches(augmentation=Augmentation())
    for images, labels in loader.epoch(3):
        assert torch.equal(images, normaliser()(split(50).images_NCHW[labels]))


def test_seed_and_epoch_decide_everything():
    loader = batches()
    first = list(loader.epoch(1))
    torch.rand(7)
    list(loader.epoch(0))
    assert same(first, loader.epoch(1)) and same(first, batches().epoch(1))
    orders = [
        tuple(torch.cat([labels for _, labels in source.epoch(epoch)]).tolist())
        for source, epoch in ((loader, 0), (loader, 1), (loader, 2), (batches(seed=1), 1))
    ]
    assert len(set(orders)) == len(orders)


def test_global_random_numbers_are_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    list(batches().epoch(0))
    assert torch.rand(1) == expected


def test_alternating_flip_follows_the_image_through_the_permutations():
    loader = batches(augmentation=Augmentation(flip="alternating"))
    shown = [{}, {}, {}]
    for epoch in range(3):
        for images, labels in loader.epoch(epoch):
            shown[epoch] |= dict(zip(labels.tolist(), images, strict=True))
    for number in range(50):
        assert torch.equal(shown[0][number], shown[1][number].flip(2))
        assert torch.equal(shown[0][number], shown[2][number])
    plain = normaliser()(split(50).images_NCHW)
    assert 0 < sum(torch.equal(shown[0][number], plain[number]) for number in range(50)) < 50


def test_blank_square_has_the_value_zero():
    """The mean colour, but for the rounding of a byte."""
    loader = batches(augmentation=Augmentation(cutout_pixels=7))
    images, labels = next(loader.epoch(0))
    changed = images != normaliser()(split(50).images_NCHW[labels])
    assert changed.any() and images[changed].abs().max() < 0.5 / 255 / min(STD) + 1e-5


def test_evaluation_batches_hold_all_images_in_order():
    found = list(evaluation_batches(split(50), normaliser(), 16))
    assert [len(labels) for _, labels in found] == [16, 16, 16, 2]
    assert torch.cat([labels for _, labels in found]).tolist() == list(range(50))
    assert torch.equal(torch.cat([images for images, _ in found]), normaliser()(split(50).images_NCHW))


def test_augmentation_that_does_not_fit_is_refused_before_any_batch():
    with raises_code("invalid-augmentation", where="training.augmentation.crop_pixels", value=8):
        batches(augmentation=Augmentation(crop_pixels=8))


def test_generators_of_different_purposes_differ():
    draws = {
        torch.rand(1, generator=seeded_generator("cpu", seed, purpose)).item()
        for seed in (0, 1, 2**40)
        for purpose in ("coins", "epoch 0", "epoch 1")
    }
    assert len(draws) == 9


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_batches_are_made_there_and_repeat():
    found = list(batches(device="cuda").epoch(1))
    assert all(tensor.is_cuda for batch in found for tensor in batch)
    assert same(found, batches(device="cuda").epoch(1))
    (images, _), (expected, _) = (
        next(evaluation_batches(split(50).to(device), normaliser(device))) for device in ("cuda", "cpu")
    )
    torch.testing.assert_close(images.cpu(), expected, atol=1e-5, rtol=1e-5)
