import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from raises import raises_code

from searchlab.data.shared import OnNode, SharedDataset, size_of
from searchlab.data.splits import limited


def test_a_shared_data_set_is_the_same_data_set(digits):
    shared = pickle.loads(pickle.dumps(SharedDataset.of(digits)))
    found = shared.dataset()
    for part in ("train", "validation", "test"):
        assert torch.equal(getattr(found, part).images_NCHW, getattr(digits, part).images_NCHW)
        assert torch.equal(getattr(found, part).labels_N, getattr(digits, part).labels_N)
    assert replace(found, train=digits.train, validation=digits.validation, test=digits.test).hash == digits.hash
    assert (found.spec, found.mean, found.class_names) == (digits.spec, digits.mean, digits.class_names)


def test_its_tensors_are_the_arrays_which_may_only_be_read(digits, recwarn):
    shared = SharedDataset.of(digits)
    for arrays in shared.arrays.values():
        for array in arrays:
            array.flags.writeable = False
    found = shared.dataset()
    assert found.train.images_NCHW.data_ptr() == shared.arrays["train"][0].ctypes.data
    assert not recwarn.list


def test_its_size_is_that_of_all_splits(digits):
    images = sum(len(split) for split in (digits.train, digits.validation, digits.test))
    assert size_of(digits) == images * (8 * 8 + np.dtype(np.int64).itemsize)


def test_a_node_reads_for_itself_what_the_driver_read(digits, tmp_path):
    few = limited(digits, 100)
    assert OnNode("digits", tmp_path, 100, few.hash).dataset().hash == few.hash


@pytest.mark.parametrize(
    ("name", "root", "refused"),
    [
        ("digits", "", raises_code("data-differ", where="digits")),
        ("digits", "nowhere", raises_code("data-missing")),
        ("folder:nowhere", "", raises_code("data-missing", where="nowhere")),
    ],
)
def test_a_node_without_the_data_says_so(name, root, refused, tmp_path):
    with refused:
        OnNode(name, tmp_path / Path(root), None, "another hash").dataset()
