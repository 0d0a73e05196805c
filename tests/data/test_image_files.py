import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from raises import raises_code

from searchlab.data.folder import load_folder
from searchlab.data.image_files import prepare
from searchlab.data.splits import described


def write(root, make, names=("cat", "dog"), images=10, suffix=".png"):
    """`make(label, number)` is the image; every file of a class has the pixels that it says."""
    for label, name in enumerate(names):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(images):
            make(label, number).save(root / name / f"{number:03d}{suffix}")


def levels(dataset):
    """Every grey level that is anywhere in a data set."""
    parts = (dataset.train, dataset.validation, dataset.test)
    return sorted({level for part in parts for level in part.images_NCHW.unique().tolist()})


def halves(low, high, dtype):
    """Left `low`, right `high`: 8x8."""
    values = np.full((8, 8), low, dtype)
    values[:, 4:] = high
    return Image.fromarray(values)


def deep_png(value):
    """A PNG of 8x8 pixels with 16 bits a channel, which Pillow cannot write."""
    rows = b"".join(b"\0" + np.full((8, 3), value, ">u2").tobytes() for _ in range(8))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    written = [
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data)) for tag, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0)])
def test_images_whose_content_is_transparency_are_not_blank(mode, ink, paper, tmp_path):
    def glyph(label, number):
        alpha = Image.fromarray(np.where(np.arange(64).reshape(8, 8) % 8 < 4, 0, 255).astype(np.uint8))
        image = Image.merge("LA", (Image.new("L", (8, 8), ink), alpha))
        return image.convert("RGBA").quantize() if mode == "P" else image.convert(mode)

    write(tmp_path, glyph)
    dataset = load_folder(tmp_path, size=8)
    assert levels(dataset) == [0, 255] and dataset.spec.channels == 1
    assert dataset.train.images_NCHW[0, 0, 0].tolist() == [paper] * 4 + [ink] * 4
    assert f"20 images with transparent parts: laid on {'white' if paper else 'black'}" in dataset.notes


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
@pytest.mark.parametrize(
    ("most", "white"), [(1, 1), (200, 255), (255, 255), (1000, 1023), (4000, 4095), (60000, 65535)]
)
def test_integers_are_scaled_by_the_range_that_holds_all_of_them(dtype, most, white, tmp_path):
    suffix = ".png" if dtype == np.uint16 else ".tiff"
    write(tmp_path, lambda label, number: halves(0, most, dtype), suffix=suffix)
    dataset = load_folder(tmp_path, size=8)
    assert levels(dataset) == [0, most * 255 // white]
    assert any(note.endswith(f"0 to {white:,} is black to white") for note in dataset.notes)


def test_the_range_is_that_of_the_data_set_not_of_the_image(tmp_path):
    write(tmp_path, lambda label, number: halves(0, 4000 if number % 2 else 400, np.uint16))
    assert levels(load_folder(tmp_path, size=8)) == [0, 400 * 255 // 4095, 4000 * 255 // 4095]


@pytest.mark.parametrize(("most", "level"), [(1.0, 255), (0.5, 128), (200.0, 200), (4095.0, 255)])
def test_fractions_are_scaled_by_the_range_that_holds_all_of_them(most, level, tmp_path):
    write(tmp_path, lambda label, number: halves(0, most, np.float32), suffix=".tiff")
    assert levels(load_folder(tmp_path, size=8)) == [0, level]


@pytest.mark.parametrize(
    ("low", "high", "dtype", "what"),
    [
        (0, 70_000, np.int32, "1 integer images"),
        (-5, 100, np.int32, "1 integer images"),
        (-1.0, 1.0, np.float32, "1 floating-point images"),
        (0.0, np.nan, np.float32, "1 floating-point images"),
        (0.0, np.inf, np.float32, "1 floating-point images"),
    ],
)
def test_values_that_are_no_brightness_are_refused_by_name(low, high, dtype, what, tmp_path):
    write(tmp_path, lambda label, number: halves(0, 1, dtype), suffix=".tiff")
    halves(low, high, dtype).save(tmp_path / "dog" / "003.tiff")
    with raises_code("invalid-images", mentions=[what, "0 to 65,535", "003.tiff'"]):
        load_folder(tmp_path)


@pytest.mark.parametrize("value", [4095, 65535])
def test_twelve_bits_in_sixteen_of_colour_are_refused_not_black(value, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(10):
            (tmp_path / name / f"{number}.png").write_bytes(deep_png(value))
    if value == 65535:
        assert levels(load_folder(tmp_path, size=8)) == [255]
        return
    with raises_code("invalid-images", mentions=["4,095", "65,535"]):
        load_folder(tmp_path)


def test_bilevel_cmyk_and_palette_images_keep_their_brightness(tmp_path):
    white = Image.new("L", (8, 8), 255)
    kinds = [white.convert("1"), white.convert("RGB").convert("CMYK"), white.convert("P")]
    write(tmp_path, lambda label, number: kinds[number % 3], suffix=".tiff")
    assert levels(load_folder(tmp_path, size=8)) == [255]


def test_data_that_are_nearly_black_are_said_to_be(tmp_path):
    write(tmp_path, lambda label, number: halves(0, label + 1, np.uint8))
    assert any(
        "WARNING: no pixel of any image is brighter than 2 of 255" in note for note in load_folder(tmp_path).notes
    )


def test_the_first_frame_of_an_animation_is_used_and_said(tmp_path):
    frames = [Image.new("L", (8, 8), 10 * n) for n in range(3)]
    write(tmp_path, lambda label, number: Image.new("L", (8, 8), 100))
    frames[0].save(tmp_path / "cat" / "moving.gif", save_all=True, append_images=frames[1:])
    dataset = load_folder(tmp_path, size=8)
    assert levels(dataset) == [0, 100]
    assert "1 image of several frames or pages: the first is used" in dataset.notes


def test_images_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = halves(0, 255, np.uint8)
    image.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as opened:
        pixels_HWC = prepare(opened, 8)
    assert (pixels_HWC[:4] == 0).all() and (pixels_HWC[4:] == 255).all()


def test_the_aspect_ratio_is_kept_by_cutting_the_middle_out():
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 255
    assert (prepare(Image.fromarray(wide), 10) == 255).all()


def test_the_sizes_that_images_had_are_said(tmp_path):
    write(tmp_path, lambda label, number: Image.new("L", (640, 480 if number else 28), 100), images=5)
    dataset = load_folder(tmp_path)
    assert described(dataset) == "6 train / 2 validation / 2 test, 2 classes, 32x32 grey, resized from 28..640"
    assert any("32x32 is the default size" in note and "?size=96" in note for note in dataset.notes)
    asked = load_folder(tmp_path, 96)
    assert (asked.spec.height, asked.spec.width) == (96, 96) and not any("default" in note for note in asked.notes)
