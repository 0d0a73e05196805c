"""docs/guide/extend.md holds: adding a name to a dict of extensions breaks no test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

ENUMERATE = (
    "data/test_datasets.py",
    "deploy/test_scores.py",
    "exits/test_exit_scores.py",
    "measure/test_references.py",
    "search/test_launch.py::test_a_study_that_names_what_there_is_not",
    "search/test_smoke.py",
    "search/test_startup.py",
    "train/test_regimes.py",
    "train/test_schedules.py",
)
"""Tests that go through the dicts, or list their names."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_one_more_name_in_every_dict_breaks_no_test():
    files = [str(TESTS / each) for each in ENUMERATE]
    command = [sys.executable, "-m", "pytest", "-p", "one_more_of_each", "-n", "0", *files]
    path = os.pathsep.join(filter(None, [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        command, cwd=TESTS.parent, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
