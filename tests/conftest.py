"""For every test. Helpers that several folders share (`fake_records`, `tiny`) lie beside this file, so on the path.

Heavy libraries are imported in fixtures: the process that only distributes tests to its workers reads this file too.
"""

import atexit
import gc
import os
import sqlite3
import tempfile
from contextlib import suppress
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from property_tests import FULL

if TYPE_CHECKING:
    from searchlab.data.splits import Dataset

settings.register_profile("full", deadline=None, max_examples=FULL)
settings.register_profile("quick", deadline=None, max_examples=FULL // 5)
settings.load_profile("full")
# A process of tests imports 100,000s of objects that stay: they are not looked through again and again.
gc.disable()

WORKER = "PYTEST_XDIST_WORKER" in os.environ
if WORKER:
    # A worker has reported everything before it exits. What was registered first runs last: the interpreter is not
    # taken apart object by object, which takes seconds.
    atexit.register(os._exit, 0)


def pytest_collection_finish():
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_unconfigure():
    """Libraries that say at the end what is left in memory find nothing."""
    if not WORKER:
        gc.unfreeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Small networks are fastest on one thread, and sums come out the same wherever the tests run."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def own_surroundings(tmp_path_factory):
    """Trials, those in processes of their own too, wait for no measurement of anyone else's, and take one thread.

    What is measured here is in doubt, as tests run beside each other: it is believed, and not measured again.
    """
    folder = str(tmp_path_factory.mktemp("locks"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setattr(tempfile, "tempdir", folder)
        patch.setattr("searchlab.measure.remeasure.PAUSES_S", ())
        patch.setattr("searchlab.record.BELIEVED", float("inf"))
        yield


@pytest.fixture(autouse=True, scope="session")
def migrations_read_once():
    """Optuna's migration scripts are read once per process, not three times per store: a new store costs a third."""
    from optuna.storages._rdb.storage import _VersionManager

    read = _VersionManager._create_alembic_script
    made = []

    def once(self):
        if not made:
            made.append(read(self))
        return made[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_VersionManager, "_create_alembic_script", once)
        yield


@pytest.fixture(autouse=True, scope="session")
def stores_wait_for_no_disk():
    """A new store in SQLite waits for the disk twenty times: a tenth of a second and more, of which tests need none."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def prepare(connection, _):
        # What is damaged or locked is found by those who use it.
        if isinstance(connection, sqlite3.Connection):
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", prepare)
    yield
    event.remove(Engine, "connect", prepare)


@pytest.fixture(autouse=True, scope="session")
def digits_read_once():
    """The images of `digits` are read and split once per process, not once per study."""
    from searchlab.data import datasets

    read = datasets.digits
    made = []

    @wraps(read)
    def once(root, download):
        if not made:
            made.append(read(root, download))
        return made[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "digits", once)
        patch.setitem(datasets.DATASETS, "digits", once)
        yield


@pytest.fixture(autouse=True, scope="session")
def short_measurements():
    """A trial measures for a fifth of the usual time: what is measured is the same, with wider intervals."""
    from searchlab.measure.latency import LatencyOptions

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("searchlab.trial.LatencyOptions", partial(LatencyOptions, budget_s=0.3))
        patch.setattr("searchlab.analysis.test_evaluation.LatencyOptions", partial(LatencyOptions, budget_s=0.3))
        patch.setattr("searchlab.deploy.latency_check.CHECK_OPTIONS", LatencyOptions(budget_s=0.12))
        yield


@pytest.fixture(scope="session")
def digits() -> "Dataset":
    from searchlab.data.datasets import load

    return load("digits", Path())
