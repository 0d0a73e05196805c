import numpy as np
import pytest
import torch
from raises import raises_code

from searchlab.data.datasets import DATASETS, load, synthetic_images
from searchlab.data.official import SOURCES, MissingFiles

OFFICIAL = sorted(name for name in DATASETS if name.removesuffix("_coarse") in SOURCES)
EMBEDDED = ["digits", "digits_28x28", "digits_32x32", "synthetic"]


@pytest.mark.parametrize("name", sorted(set(DATASETS) - set(OFFICIAL)))
def test_contract(name, tmp_path):
    """What every data set promises whose files are here."""
    try:
        dataset = load(name, tmp_path)
    except MissingFiles:
        return
    parts = (dataset.train, dataset.validation, dataset.test)
    assert dataset.name == name
    assert len(dataset.class_names) == dataset.spec.classes
    shape = (dataset.spec.channels, dataset.spec.height, dataset.spec.width)
    for part in parts:
        assert part.images_NCHW.shape[1:] == shape and part.images_NCHW.is_contiguous()
        assert part.labels_N.unique().tolist() == list(range(dataset.spec.classes))
    assert len(dataset.mean) == len(dataset.std) == dataset.spec.channels
    assert all(0 < value < 1 for value in (*dataset.mean, *dataset.std))
    assert dataset.hash == load(name, tmp_path).hash and len(dataset.hash) == 16


@pytest.mark.parametrize("name", EMBEDDED)
def test_what_is_embedded_is_split_alike_and_writes_no_files(name, tmp_path):
    dataset = load(name, tmp_path)
    parts = (dataset.train, dataset.validation, dataset.test)
    total = sum(map(len, parts))
    assert [round(len(part) / total, 2) for part in parts] == [0.6, 0.2, 0.2]
    shares = [np.bincount(part.labels_N.numpy()) / len(part) for part in parts]
    assert np.ptp(shares, axis=0).max() < 0.01
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", OFFICIAL)
def test_others_say_what_is_missing(name, tmp_path):
    with raises_code("data-missing"):
        load(name, tmp_path)


def test_digits_are_those_of_scikit_learn_spread_over_a_byte(tmp_path):
    dataset = load("digits", tmp_path)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (1077, 360, 360)
    levels = dataset.train.images_NCHW.unique().tolist()
    assert levels == [round(level * 255 / 16) for level in range(17)]


def test_hashes_differ(tmp_path):
    assert len({load(name, tmp_path).hash for name in EMBEDDED}) == len(EMBEDDED)


@pytest.mark.parametrize("spec", ["cifra10", "", "Digits", "folder", "/some/where"])
def test_unknown_data_set(spec, tmp_path):
    with raises_code("unknown-data-set", where="data", value=spec, mentions=(*DATASETS, "folder:PATH")):
        load(spec, tmp_path)


def test_synthetic_images_depend_on_their_seed_alone():
    one, same, other = synthetic_images(40, 1), synthetic_images(40, 1), synthetic_images(40, 2)
    assert torch.equal(one.images_NCHW, same.images_NCHW)
    assert not torch.equal(one.images_NCHW, other.images_NCHW)
    assert np.bincount(one.labels_N.numpy()).tolist() == [10] * 4


def test_synthetic_classes_differ_in_where_they_vary():
    """Rows vary from row to row, columns from column to column: a classifier of one line does better than chance."""
    split = synthetic_images(400, 0)
    grey = split.images_NCHW.double().mean(1)
    is_row = grey.mean(2).var(1) > grey.mean(1).var(1)
    assert (is_row[split.labels_N == 0].double().mean() > 0.9) and (is_row[split.labels_N == 1].double().mean() < 0.1)
