import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from raises import raises_code

from searchlab.architecture import ResNet
from searchlab.candidate import Candidate, Training
from searchlab.data import prepared, splits
from searchlab.data.datasets import load
from searchlab.data.prepared import HOME, LoadHooks
from searchlab.data.shared import SharedDataset
from searchlab.errors import Interrupted
from searchlab.objective import accuracy, macs
from searchlab.record import Scales
from searchlab.study import Study, TrialSpec
from searchlab.trial import run_trial


@pytest.fixture
def pets(tmp_path) -> Path:
    """20 images of noise in two classes, 8x12 pixels, in colour."""
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{number}.png")
    return tmp_path / "pets"


@pytest.fixture
def decoded(monkeypatch) -> list[Path]:
    """The files that were decoded."""
    files: list[Path] = []
    read = prepared.read

    def counting(file, **how):
        files.append(file)
        return read(file, **how)

    monkeypatch.setattr(prepared, "read", counting)
    return files


def pixels(dataset):
    return [part.images_NCHW.numpy() for part in (dataset.train, dataset.validation, dataset.test)]


def folders(root):
    return sorted(path for path in (root / HOME).iterdir() if path.is_dir())


def test_images_are_decoded_once_for_all_processes(pets, tmp_path, decoded):
    said: list[str] = []
    first = load(f"folder:{pets}", tmp_path, hooks=LoadHooks(said.append))
    again = load(f"folder:{pets}", tmp_path, hooks=LoadHooks(said.append))
    assert len(decoded) == 20 and said == [f"prepared images are kept in {folders(tmp_path)[0]} (61 kB)"]
    assert (again.hash, again.mean, again.std, again.notes) == (first.hash, first.mean, first.std, first.notes)
    assert all(np.array_equal(*both) for both in zip(pixels(first), pixels(again), strict=True))
    assert splits.data_hash((again.train, again.validation, again.test), again.class_names) == again.hash


def test_another_size_or_another_image_is_prepared_anew(pets, tmp_path):
    small, large = (load(f"folder:{pets}?size={size}", tmp_path) for size in (8, 16))
    assert (small.spec.height, large.spec.height) == (8, 16) and len(folders(tmp_path)) == 2
    shutil.copy(pets / "cats" / "0.png", pets / "cats" / "new.png")
    assert load(f"folder:{pets}?size=8", tmp_path).hash != small.hash


def test_a_moved_folder_is_not_prepared_again(pets, tmp_path, decoded):
    before = load(f"folder:{pets}", tmp_path)
    (tmp_path / "elsewhere").mkdir()
    pets.rename(tmp_path / "elsewhere" / "pets")
    assert load(f"folder:{tmp_path}/elsewhere/pets", tmp_path).hash == before.hash and len(decoded) == 20


def test_whoever_comes_second_waits_for_the_first(pets, tmp_path, decoded):
    with ThreadPoolExecutor(4) as pool:
        hashes = set(pool.map(lambda _: load(f"folder:{pets}", tmp_path).hash, range(4)))
    assert len(hashes) == 1 and len(decoded) == 20


@pytest.mark.parametrize("damage", ["no text", "no images", "half of the images", "another text", "no dict"])
def test_damaged_files_are_made_again(damage, pets, tmp_path, decoded):
    before = load(f"folder:{pets}", tmp_path)
    (place,) = folders(tmp_path)
    text, images = place / prepared.ABOUT, place / prepared.IMAGES
    if damage == "half of the images":
        images.write_bytes(images.read_bytes()[:100])
    elif damage in ("another text", "no dict"):
        text.write_text("{}" if damage == "another text" else "3")
    else:
        (text if damage == "no text" else images).unlink()
    assert load(f"folder:{pets}", tmp_path).hash == before.hash and len(decoded) == 40


def test_what_a_killed_process_left_is_no_data(pets, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prepared, "channel_statistics", killed)
        patch.setattr(prepared.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            load(f"folder:{pets}", tmp_path)
    (half,) = folders(tmp_path)
    assert half.suffix == ".part"
    load(f"folder:{pets}", tmp_path)
    assert [path.suffix for path in folders(tmp_path)] == [""]


def test_large_images_stay_on_disk_and_are_trained_on(pets, tmp_path, monkeypatch):
    in_memory = load(f"folder:{pets}", tmp_path)
    monkeypatch.setattr(prepared, "IN_MEMORY_BYTES", 0)
    mapped, memmap = [], np.memmap
    monkeypatch.setattr(prepared.np, "memmap", lambda *which, **how: mapped.append(which) or memmap(*which, **how))
    dataset = load(f"folder:{pets}", tmp_path)
    assert mapped and all(np.array_equal(*both) for both in zip(pixels(in_memory), pixels(dataset), strict=True))
    candidate = Candidate(ResNet(blocks=(1,), width=4), training=Training(batch_size=8))
    study = Study("made up", "made up", objectives=(accuracy, macs), epochs=1, name="made-up")
    curves = [run_trial(TrialSpec(0, candidate, study), each).curve for each in (in_memory, dataset)]
    assert curves[0] == curves[1]


def test_images_too_large_for_the_device_come_to_it_batch_by_batch(digits, monkeypatch):
    monkeypatch.setattr(splits, "fits", lambda images_NCHW, device: False)
    split = digits.test.to("meta")
    assert split.images_NCHW.device.type == "cpu" and split.device.type == "meta"
    assert split.images(torch.arange(5)).device.type == "meta"


def test_no_room_is_said_before_anything_is_decoded(pets, tmp_path, decoded, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000_000)
    monkeypatch.setattr(prepared.shutil, "disk_usage", lambda path: usage)
    with raises_code("cannot-write", value="10.0 MB free", mentions="62.9"):
        load(f"folder:{pets}?size=1024", tmp_path)
    assert not decoded and not folders(tmp_path)


def test_no_lock_is_left_behind_whether_or_not_images_can_be_read(pets, tmp_path):
    root = tmp_path / "root"
    load(f"folder:{pets}", root)
    next(pets.rglob("*.png")).write_bytes(b"no image")
    with raises_code("invalid-images"):
        load(f"folder:{pets}", root)
    assert not list(root.rglob("*.lock")) and not list(root.rglob("*.part"))


def test_a_disk_that_fills_up_is_one_line(pets, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepared, "channel_statistics", full)
    with raises_code("cannot-write", mentions="No space left on device") as raised:
        load(f"folder:{pets}", tmp_path)
    assert "\n" not in str(raised.value) and not folders(tmp_path)


def test_a_data_root_that_cannot_be_written_is_done_without(pets, tmp_path):
    (tmp_path / "file").touch()
    assert load(f"folder:{pets}", tmp_path / "file").hash == load(f"folder:{pets}", tmp_path).hash


def test_the_user_may_end_it(pets, tmp_path):
    with pytest.raises(Interrupted):
        load(f"folder:{pets}", tmp_path, hooks=LoadHooks(interrupted=lambda: True))
    assert not folders(tmp_path)


def test_what_takes_long_is_said(pets, tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 11))
    monkeypatch.setattr(prepared, "monotonic", lambda: next(clock))
    monkeypatch.setattr(prepared, "BLOCK", 10)
    said: list[str] = []
    load(f"folder:{pets}", tmp_path, hooks=LoadHooks(said.append))
    assert any(line.startswith("images prepared: 10 of 20, about ") for line in said)


def test_prepared_images_are_no_class_of_their_folder(pets):
    before = load(f"folder:{pets}", pets)
    again = load(f"folder:{pets}", pets)
    assert (again.class_names, again.notes) == (("cats", "dogs"), before.notes)


def scans(root: Path) -> Path:
    for name in ("cats", "dogs"):
        (root / "scans" / name).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(np.full((8, 8), 50 * number, np.uint16)).save(root / "scans" / name / f"{number}.png")
    return root / "scans"


def test_prepared_images_of_an_earlier_version_get_their_scales_without_being_decoded_again(tmp_path, decoded):
    """Decoded again by another Pillow, they might be other data than those of the study."""
    images, said = scans(tmp_path), []
    before = load(f"folder:{images}", tmp_path)
    assert before.scales == Scales(integers=1023)
    manifest = folders(tmp_path)[0] / prepared.ABOUT
    facts = json.loads(manifest.read_text())
    assert facts.pop("scales")
    manifest.write_text(json.dumps(facts))
    again = [load(f"folder:{images}", tmp_path, hooks=LoadHooks(said.append)) for _ in range(2)]
    assert all((each.scales, each.hash) == (before.scales, before.hash) for each in again) and len(decoded) == 20
    assert said == ["prepared images of an earlier version: inspecting the images again for the range of their values"]


def test_a_part_of_a_data_set_and_its_shared_form_keep_the_scales(tmp_path):
    whole = load(f"folder:{scans(tmp_path)}", tmp_path)
    part = splits.limited(whole, 4)
    assert SharedDataset.of(part).dataset().facts == part.facts and part.scales == Scales(integers=1023)
