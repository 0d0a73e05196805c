"""For every test. Helpers that several folders share (`fake_records`, `tiny`) lie beside this file, so on the path."""

import os
import tempfile
from pathlib import Path

import pytest
import torch

from searchlab.data.datasets import load
from searchlab.data.splits import Dataset


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks are fastest on one thread, and sums come out the same wherever the tests run."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def own_locks(tmp_path_factory):
    """Trials of these tests, in processes they start too, wait for no measurement of anyone else's."""
    before, folder = tempfile.tempdir, str(tmp_path_factory.mktemp("locks"))
    inherited = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    yield
    tempfile.tempdir = before
    if inherited is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = inherited


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load("digits", Path())
