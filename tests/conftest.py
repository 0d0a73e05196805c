"""For every test. Helpers that several folders share (`fake_records`, `tiny`) lie beside this file, so on the path."""

import tempfile
from pathlib import Path

import pytest
import torch

from searchlab.data.datasets import load
from searchlab.data.splits import Dataset


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Small networks are fastest on one thread, and sums come out the same wherever the tests run."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def own_surroundings(tmp_path_factory):
    """Trials, those in processes of their own too, wait for no measurement of anyone else's, and take one thread.

    What is measured here is in doubt, as tests run beside each other: it is not measured again.
    """
    folder = str(tmp_path_factory.mktemp("locks"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setattr(tempfile, "tempdir", folder)
        patch.setattr("searchlab.measure.remeasure.PAUSES_S", ())
        yield


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load("digits", Path())
