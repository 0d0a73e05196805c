import os
import pickle
import shutil
import struct
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch
from raises import raises_code

from searchlab.data import official
from searchlab.data.cifar100 import CLASSES, COARSE, SUPERCLASSES
from searchlab.data.datasets import CIFAR_STATISTICS, load
from searchlab.data.splits import channel_statistics

MNIST_LIKE = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def write_mnist(root, folder="MNIST", train=100, test=20):
    random = np.random.default_rng(0)
    for part, count in (("train", train), ("t10k", test)):
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        write_idx(root / folder / "raw" / f"{part}-images-idx3-ubyte", images)
        write_idx(root / folder / "raw" / f"{part}-labels-idx1-ubyte", (np.arange(count) % 10).astype(np.uint8))


@pytest.mark.parametrize("name", MNIST_LIKE)
def test_files_of_the_official_layout_are_read(name, tmp_path):
    write_mnist(tmp_path, MNIST_LIKE[name])
    dataset = load(name, tmp_path)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (80, 20, 20)
    assert dataset.test.images_NCHW.shape == (20, 1, 28, 28)
    written = (tmp_path / MNIST_LIKE[name] / "raw" / "t10k-images-idx3-ubyte").read_bytes()[16:]
    assert dataset.test.images_NCHW.numpy().tobytes() == written
    assert dataset.test.labels_N.tolist() == [i % 10 for i in range(20)]
    assert len(dataset.class_names) == 10


@pytest.mark.parametrize("name", official.SOURCES)
def test_missing_files_are_looked_for_not_downloaded(name, tmp_path):
    with raises_code("data-missing", mentions=[str(tmp_path), name, "--download", "--data"]):
        load(name, tmp_path)


def test_one_missing_file_is_named(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    with raises_code("data-missing", value="MNIST/raw/t10k-labels-idx1-ubyte", mentions="1 of its 4 files"):
        load("mnist", tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:10],
        lambda data: b"",
        lambda data: b"\1" + data,
    ],
    ids=["truncated", "too long", "within the header", "empty", "no idx file"],
)
def test_corrupt_idx_file_is_named(spoil, tmp_path):
    write_mnist(tmp_path)
    path = tmp_path / "MNIST/raw/train-images-idx3-ubyte"
    path.write_bytes(spoil(path.read_bytes()))
    with raises_code("data-corrupt", where=str(path), mentions="delete it"):
        load("mnist", tmp_path)


@pytest.mark.parametrize("labels", [np.full(100, 11, np.uint8), np.zeros(99, np.uint8)])
def test_labels_that_do_not_fit_are_refused(labels, tmp_path):
    write_mnist(tmp_path)
    write_idx(tmp_path / "MNIST/raw/train-labels-idx1-ubyte", labels)
    with raises_code("data-corrupt", mentions=["100 images", f"{len(labels)} labels"]):
        load("mnist", tmp_path)


def write_fake_cifar(root, name):
    for file in official.SOURCES[name].checks:
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).write_bytes(pickle.dumps({"data": np.zeros((5, 3072), np.uint8), "labels": [0] * 5}))


@pytest.mark.parametrize(("name", "first"), [("cifar10", "data_batch_1"), ("cifar100", "train")])
def test_files_with_another_md5_are_corrupt(name, first, tmp_path):
    write_fake_cifar(tmp_path, name)
    files = len(official.SOURCES[name].checks)
    with raises_code("data-corrupt", mentions=[f"{first}: ", f"{files - 1} more"]):
        load(name, tmp_path)


def pretend(monkeypatch, name, kind):
    monkeypatch.setitem(official.SOURCES, name, replace(official.SOURCES[name], kind=kind))


def test_download_is_asked_for_only_when_wanted_and_needed(monkeypatch, tmp_path):
    real, calls = official.SOURCES["mnist"].kind, []

    def kind(root, *, train=True, download=False):
        calls.append(download)
        if download:
            write_mnist(Path(root))
        return real(root, train=train)

    pretend(monkeypatch, "mnist", kind)
    with raises_code("data-missing"):
        load("mnist", tmp_path)
    assert calls == []
    assert len(load("mnist", tmp_path, download=True).test) == 20
    assert calls == [True, False, False]
    load("mnist", tmp_path, download=True)
    assert calls[3:] == [False, False]


@pytest.mark.parametrize(
    "error", [URLError("no route to host"), RuntimeError("Error\ndownloading x"), OSError(28, "full")]
)
def test_failed_download_is_one_line(error, monkeypatch, tmp_path):
    def kind(root, download):
        raise error

    pretend(monkeypatch, "cifar10", kind)
    with raises_code("download-failed", mentions="cifar10"):
        load("cifar10", tmp_path, download=True)


def test_download_never_replaces_a_corrupt_file(monkeypatch, tmp_path):
    write_fake_cifar(tmp_path, "cifar10")
    (tmp_path / "cifar-10-batches-py/test_batch").unlink()
    pretend(monkeypatch, "cifar10", None)
    with raises_code("data-corrupt"):
        load("cifar10", tmp_path, download=True)


@pytest.fixture
def small_cifar100(monkeypatch, tmp_path):
    """Pretends that 20 training images and 2 test images of every class are the official CIFAR-100."""

    def kind(root, *, train):
        count = 2000 if train else 200
        images = np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        return SimpleNamespace(data=images, targets=[i % 100 for i in range(count)], classes=list(CLASSES))

    file = "cifar-100-python/train"
    monkeypatch.setitem(official.SOURCES, "cifar100", official.OfficialFiles(kind, {file: lambda path: True}))
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).touch()
    return tmp_path, kind(None, train=False).data


def test_cifar_becomes_channels_first_with_the_design_statistics(small_cifar100):
    root, test_NHWC = small_cifar100
    dataset = load("cifar100", root)
    assert np.array_equal(dataset.test.images_NCHW.numpy(), test_NHWC.transpose(0, 3, 1, 2))
    assert (dataset.mean, dataset.std) == CIFAR_STATISTICS
    assert dataset.coarse == COARSE and dataset.spec.classes == 100


def test_coarse_cifar_has_the_same_images_with_superclasses(small_cifar100):
    fine, coarse = load("cifar100", small_cifar100[0]), load("cifar100_coarse", small_cifar100[0])
    assert coarse.spec.classes == 20 and coarse.class_names == tuple(SUPERCLASSES) and coarse.hash != fine.hash
    for part in ("train", "validation", "test"):
        one, other = getattr(fine, part), getattr(coarse, part)
        assert torch.equal(one.images_NCHW, other.images_NCHW)
        assert [COARSE[label] for label in one.labels_N] == other.labels_N.tolist()


def test_superclasses_hold_five_classes_each():
    assert len(CLASSES) == len(set(CLASSES)) == 100
    assert np.bincount(COARSE).tolist() == [5] * 20


official_files = pytest.mark.skipif("SEARCHLAB_DATA" not in os.environ, reason="SEARCHLAB_DATA names no folder")


@official_files
def test_official_cifar10():
    dataset = load("cifar10", Path(os.environ["SEARCHLAB_DATA"]))
    for part, per_class in ((dataset.train, 4500), (dataset.validation, 500), (dataset.test, 1000)):
        assert np.bincount(part.labels_N.numpy()).tolist() == [per_class] * 10
    np.testing.assert_allclose(channel_statistics(dataset.train.images_NCHW), CIFAR_STATISTICS, atol=6e-4)


@official_files
def test_official_coarse_labels_are_those_of_the_table():
    root = Path(os.environ["SEARCHLAB_DATA"])
    fine, coarse = load("cifar100", root), load("cifar100_coarse", root)
    with (root / "cifar-100-python/test").open("rb") as file:
        test = pickle.load(file, encoding="latin1")
    with (root / "cifar-100-python/meta").open("rb") as file:
        assert pickle.load(file, encoding="latin1")["coarse_label_names"] == list(coarse.class_names)
    assert fine.test.labels_N.tolist() == test["fine_labels"]
    assert coarse.test.labels_N.tolist() == test["coarse_labels"]


@official_files
def test_truncated_official_file_is_named(tmp_path):
    source = Path(os.environ["SEARCHLAB_DATA"]) / "cifar-100-python"
    shutil.copytree(source, tmp_path / source.name)
    path = tmp_path / source.name / "test"
    path.write_bytes(path.read_bytes()[:-100])
    with raises_code("data-corrupt", where=str(path)):
        load("cifar100", tmp_path)
