import os
import shutil

import numpy as np
import pytest
from PIL import Image
from raises import raises_code

from searchlab.data import splits
from searchlab.data.datasets import load
from searchlab.data.folder import load_folder


def pixels(seed, height=8, width=8, channels=3):
    shape = (height, width, 3) if channels == 3 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_classes(root, names=("cat", "dog"), images=10, **size):
    for label, name in enumerate(names):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(images):
            Image.fromarray(pixels(1000 * label + i, **size)).save(root / name / f"{i:03d}.png")


def test_class_folders_are_split_by_us(tmp_path):
    write_classes(tmp_path, ("zebra", "ant", "cow"))
    (tmp_path / "ant" / "notes.txt").write_text("no image")
    (tmp_path / ".hidden").mkdir()
    dataset = load(f"folder:{tmp_path}", tmp_path)
    assert dataset.name == f"folder:{tmp_path}"
    assert dataset.class_names == ("ant", "cow", "zebra")
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (18, 6, 6)
    assert (dataset.spec.channels, dataset.spec.height, dataset.spec.width) == (3, 32, 32)
    assert dataset.hash == load_folder(tmp_path).hash


def test_images_of_the_wanted_size_are_kept_as_they_are(tmp_path):
    write_classes(tmp_path)
    dataset = load_folder(tmp_path, size=8)
    found = {
        (image.tobytes(), label)
        for part in (dataset.train, dataset.validation, dataset.test)
        for image, label in zip(part.images_NCHW.numpy(), part.labels_N.tolist(), strict=True)
    }
    written = {(pixels(1000 * label + i).transpose(2, 0, 1).tobytes(), label) for label in (0, 1) for i in range(10)}
    assert found == written


def test_shorter_side_is_resized_and_the_middle_cut_out(tmp_path):
    write_classes(tmp_path, height=8, width=8)
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 200
    for split in ("train", "test"):
        write_classes(tmp_path / split)
        Image.fromarray(wide).save(tmp_path / split / "cat" / "999.png")
    dataset = load_folder(tmp_path, size=16)
    middle = dataset.test.images_NCHW[10]
    assert middle.shape == (3, 16, 16) and (middle[:, :, 1:-1] > 150).all()


@pytest.mark.parametrize("with_validation", [False, True])
def test_splits_of_the_user(with_validation, tmp_path):
    write_classes(tmp_path / "train", images=10)
    write_classes(tmp_path / "test", images=3)
    if with_validation:
        write_classes(tmp_path / "validation", images=2)
    dataset = load_folder(tmp_path)
    sizes = (20, 4, 6) if with_validation else (16, 4, 6)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == sizes


def test_a_class_may_be_called_train(tmp_path):
    write_classes(tmp_path, ("bus", "train"))
    assert load_folder(tmp_path).class_names == ("bus", "train")


@pytest.mark.parametrize("one_colour", [False, True])
def test_grey_stays_one_channel_unless_one_image_is_not(one_colour, tmp_path):
    write_classes(tmp_path, channels=1)
    Image.fromarray(pixels(5, channels=1)).convert("RGB").save(tmp_path / "cat" / "grey_as_rgb.png")
    if one_colour:
        Image.fromarray(pixels(6)).save(tmp_path / "cat" / "colour.png")
    assert load_folder(tmp_path).spec.channels == (3 if one_colour else 1)


def test_sixteen_bits_a_pixel_are_scaled_not_clipped(tmp_path):
    write_classes(tmp_path, channels=1)
    deep = np.full((8, 8), 128 * 257, np.uint16)
    for label in ("cat", "dog"):
        for file in (tmp_path / label).iterdir():
            Image.fromarray(deep).save(file)
    assert load_folder(tmp_path).train.images_NCHW.unique().tolist() == [128]


def test_jpeg_palette_and_transparency_are_read(tmp_path):
    write_classes(tmp_path)
    image = Image.fromarray(pixels(1))
    image.save(tmp_path / "cat" / "a.JPG")
    image.convert("P").save(tmp_path / "cat" / "b.gif")
    image.convert("RGBA").save(tmp_path / "dog" / "c.png")
    dataset = load_folder(tmp_path)
    assert len(dataset.train) + len(dataset.validation) + len(dataset.test) == 23


def test_absent_folder(tmp_path):
    with raises_code("path-not-found", mentions=str(tmp_path / "nowhere")):
        load_folder(tmp_path / "nowhere")


def test_no_folder_named(tmp_path):
    with raises_code("invalid-data-spec", where="data", value="folder:", mentions="folder:PATH"):
        load("folder:", tmp_path)


@pytest.mark.parametrize(("names", "shown"), [((), "none"), (("cat",), "cat")])
def test_too_few_classes(names, shown, tmp_path):
    write_classes(tmp_path, names)
    with raises_code("invalid-image-folder", where=str(tmp_path), value=shown):
        load_folder(tmp_path)


def test_empty_class_is_named(tmp_path):
    write_classes(tmp_path)
    (tmp_path / "eel").mkdir()
    (tmp_path / "eel" / "readme.txt").touch()
    with raises_code("too-few-images", where=str(tmp_path), value="eel"):
        load_folder(tmp_path)


def test_unreadable_images_are_counted_and_named(tmp_path):
    write_classes(tmp_path)
    whole = (tmp_path / "cat" / "000.png").read_bytes()
    (tmp_path / "cat" / "000.png").write_bytes(whole[: len(whole) // 2])
    for name in ("001", "002", "003"):
        (tmp_path / "dog" / f"{name}.png").write_bytes(b"not an image")
    with raises_code("invalid-images", value="cat/000.png, dog/001.png, dog/002.png, …", mentions="4 of 20"):
        load_folder(tmp_path)


def test_splits_with_different_classes(tmp_path):
    write_classes(tmp_path / "train", ("cat", "dog", "eel"))
    write_classes(tmp_path / "test", ("cat", "dog", "fox"))
    with raises_code("invalid-image-folder", where=str(tmp_path / "test"), value="eel, fox", mentions="train"):
        load_folder(tmp_path)


def test_train_without_test(tmp_path):
    write_classes(tmp_path / "train")
    with raises_code("invalid-image-folder", value="train"):
        load_folder(tmp_path)


def test_class_too_small_to_be_split(tmp_path):
    write_classes(tmp_path)
    write_classes(tmp_path, ("eel",), images=3)
    with raises_code("too-few-images", value=3, mentions=[str(tmp_path), "'eel'"]):
        load_folder(tmp_path)


def test_hidden_files_and_other_kinds_are_counted_not_read(tmp_path):
    write_classes(tmp_path)
    Image.fromarray(pixels(1)).save(tmp_path / "stray.png")
    for folder in (tmp_path, tmp_path / "cat"):
        (folder / ".ipynb_checkpoints").mkdir()
        Image.fromarray(pixels(2)).save(folder / ".ipynb_checkpoints" / "000-checkpoint.png")
    (tmp_path / "__MACOSX" / "cat").mkdir(parents=True)
    (tmp_path / "dog" / "._000.png").write_bytes(b"a resource fork")
    (tmp_path / "dog" / ".DS_Store").touch()
    for number in range(3):
        (tmp_path / "dog" / f"{number}.heic").touch()
    dataset = load_folder(tmp_path)
    assert dataset.class_names == ("cat", "dog")
    assert len(dataset.train) + len(dataset.validation) + len(dataset.test) == 20
    (line,) = (note for note in dataset.notes if note.startswith("not read: "))
    for what in ("3 .heic files", "2 .ipynb_checkpoints folders", "1 hidden file", "1 __MACOSX folder"):
        assert what in line
    assert "1 image outside of any class folder" in line and "DS_Store" not in line


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val"])
def test_a_val_folder_is_the_validation_split(name, tmp_path):
    for split, images in (("train", 10), ("test", 3), (name, 2)):
        write_classes(tmp_path / split, images=images)
    dataset = load_folder(tmp_path)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (20, 4, 6)
    assert f"validation: the folder {name!r}" in dataset.notes


def test_two_folders_for_one_split_are_refused(tmp_path):
    for split in ("train", "test", "val", "validation"):
        write_classes(tmp_path / split)
    with raises_code("invalid-image-folder", value="val, validation"):
        load_folder(tmp_path)


def test_split_folders_in_other_words_are_not_two_classes(tmp_path):
    for split in ("Training", "Testing"):
        write_classes(tmp_path / split)
    assert load_folder(tmp_path).class_names == ("cat", "dog")


def test_folders_beside_the_splits_are_said_not_to_be_read(tmp_path):
    for split in ("train", "test", "unlabelled"):
        write_classes(tmp_path / split)
    assert "not read: folder 'unlabelled' beside the splits" in load_folder(tmp_path).notes


def test_copies_in_train_and_test_are_counted(tmp_path):
    for split, others in (("train", 0), ("test", 7), ("val", 10)):
        write_classes(tmp_path / split, images=10)
        for number in range(others):
            Image.fromarray(pixels(7000 + 100 * others + number)).save(tmp_path / split / "dog" / f"{number:03d}.png")
    notes = load_folder(tmp_path).notes
    assert "WARNING: 13 of 20 test images are copies of training images (equal pixels)" in notes
    assert "WARNING: 10 of 20 validation images are copies of training images (equal pixels)" in notes


def test_an_image_in_two_classes_is_said(tmp_path):
    write_classes(tmp_path)
    Image.fromarray(pixels(0)).save(tmp_path / "dog" / "a_cat.png")
    assert "WARNING: 1 images are in several classes at once (equal pixels)" in load_folder(tmp_path).notes


def test_names_that_are_not_utf_8(tmp_path):
    write_classes(tmp_path)
    odd = os.fsdecode(os.fsencode(tmp_path / "cat") + b"/caf\xe9.png")
    Image.fromarray(pixels(5)).save(tmp_path / "cat" / "x.png")
    os.rename(tmp_path / "cat" / "x.png", odd)
    assert len(load(f"folder:{tmp_path}", tmp_path / "root").train) == 11
    shutil.rmtree(tmp_path / "root")  # no class of the folder that is loaded again
    with open(odd, "wb") as file:
        file.write(b"no image")
    with raises_code("invalid-images") as raised:
        load_folder(tmp_path)
    str(raised.value).encode()
    os.remove(odd)
    os.rename(tmp_path / "dog", os.fsencode(tmp_path) + b"/caf\xe9")
    with raises_code("invalid-encoding") as raised:
        load_folder(tmp_path)
    str(raised.value).encode()


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    write_classes(tmp_path)
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "cat" / "link.png").symlink_to(tmp_path / "nowhere.png")
    with raises_code("invalid-images", value="cat/link.png, cat/pipe.png", mentions="2 of 22"):
        load_folder(tmp_path)


def test_a_class_that_no_held_out_image_shows_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(splits, "ENOUGH", 4)
    write_classes(tmp_path, ("ant", "bee"), images=40)
    write_classes(tmp_path, ("cow",), images=5)
    notes = load_folder(tmp_path).notes
    assert "WARNING: no validation image of 'cow': too few images" in notes
