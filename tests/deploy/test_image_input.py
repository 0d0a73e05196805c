import numpy as np
import pytest
import torch
from PIL import Image
from raises import raises_code

from searchlab.architecture import ImageSpec
from searchlab.data.image_files import as_image, prepare
from searchlab.deploy.image_input import pixels_of
from searchlab.record import Scales

GREY, COLOUR = ImageSpec(1, 8, 8, 10), ImageSpec(3, 8, 8, 10)
RANDOM = np.random.default_rng(0)
BYTES_HW = RANDOM.integers(0, 256, (8, 8), dtype=np.uint8)
BYTES_HWC = RANDOM.integers(0, 256, (8, 8, 3), dtype=np.uint8)


def pixels(images, spec: ImageSpec) -> torch.Tensor:
    return torch.cat([found.float() for _, found in pixels_of(images, spec, Scales())])


@pytest.mark.parametrize("spec", [GREY, COLOUR])
def test_all_ways_to_give_an_image_give_the_same_pixels(spec, tmp_path):
    array_HWC = BYTES_HWC if spec.channels == 3 else BYTES_HW[:, :, None]
    array_CHW = array_HWC.transpose(2, 0, 1)
    expected = torch.from_numpy(array_CHW.astype(np.float32))[None]
    picture = as_image(array_HWC if spec.channels == 3 else BYTES_HW)
    picture.save(tmp_path / "a.png")
    ways = [array_HWC, array_CHW, array_CHW[None], array_HWC[None], torch.from_numpy(array_CHW.copy()), picture]
    ways += [str(tmp_path / "a.png"), tmp_path / "a.png", [array_HWC], (tmp_path / "a.png",)]
    for way in ways:
        assert torch.equal(pixels(way, spec), expected)
    for fractions in (array_HWC / 255, torch.from_numpy(array_CHW / 255).float()):
        torch.testing.assert_close(pixels(fractions, spec), expected)
    assert len(pixels([picture, array_HWC, tmp_path / "a.png"], spec)) == 3


def test_a_batch_of_grey_images_is_no_image_in_colour():
    batch_NHW = np.stack([BYTES_HW] * 3)
    assert pixels(batch_NHW, GREY).shape == (3, 1, 8, 8)
    assert pixels(BYTES_HWC.transpose(2, 0, 1), COLOUR).shape == (1, 3, 8, 8)


def test_grey_for_a_network_in_colour_and_colour_for_a_grey_one():
    assert torch.equal(pixels(BYTES_HW, COLOUR), torch.from_numpy(BYTES_HW).float().expand(1, 3, 8, 8))
    as_grey = np.asarray(as_image(BYTES_HWC).convert("L"), np.float32)
    assert np.abs(pixels(BYTES_HWC, GREY)[0, 0].numpy() - as_grey).max() < 1


def test_an_image_of_another_size_goes_through_the_preparation_of_the_training(tmp_path):
    large = RANDOM.integers(0, 256, (30, 20, 3), dtype=np.uint8)
    as_image(large).save(tmp_path / "large.png")
    expected = torch.from_numpy(prepare(as_image(large), 8).transpose(2, 0, 1).copy()).float()[None]
    for way in (large, tmp_path / "large.png", Image.fromarray(large)):
        assert torch.equal(pixels(way, COLOUR), expected)


def test_a_network_for_images_that_are_not_square():
    wide = ImageSpec(3, 4, 8, 10)
    assert pixels(as_image(BYTES_HWC), wide).shape == (1, 3, 4, 8)


@pytest.mark.parametrize(
    ("images", "refused"),
    [
        ("nowhere.png", raises_code("path-not-found", where="predict", value="nowhere.png")),
        ([], raises_code("invalid-images", where="predict")),
        (3, raises_code("invalid-images", where="images", value="int")),
        ([BYTES_HWC, None], raises_code("invalid-images", where="image 1")),
        (np.zeros((8, 8, 2)), raises_code("invalid-images", where="images")),
        (np.zeros((0, 8, 8, 3)), raises_code("invalid-images", where="images")),
        (np.zeros((8, 8, 3), np.int64), raises_code("invalid-images", where="images", value="int64")),
        (np.full((8, 8, 3), 16.0), raises_code("invalid-images", where="images", value="16 to 16")),
        (np.full((8, 8, 3), np.nan), raises_code("invalid-images", where="images")),
        (np.full((8, 8, 3), -0.5), raises_code("invalid-images", where="images")),
    ],
)
def test_an_input_that_is_not_an_image_is_one_line(images, refused):
    with refused as raised:
        pixels(images, COLOUR)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_an_image_is_one_line(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    with raises_code("invalid-images", where="predict"):
        pixels(tmp_path / "a.png", COLOUR)
