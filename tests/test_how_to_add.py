"""docs/guide/extend.md holds: adding a name to a dict of extensions breaks no test."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, blocks

TESTS = Path(__file__).parent

ENUMERATE = (
    "cli/test_search_options.py",
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
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "one_more_of_each",
        "-n",
        "0",
        "--hypothesis-profile=quick",
        *files,
    ]
    path = os.pathsep.join(filter(None, [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        command, cwd=TESTS.parent, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]


USE = """
from pathlib import Path
from searchlab import Candidate, Exit, ImageSpec, Limits, Study, fit
from searchlab.architecture import Plain
from searchlab.data.datasets import load
from searchlab.serialization import from_plain, to_plain
from searchlab.study import TrialSpec
from searchlab.trial import run_trial

digits = load("digits", Path())
candidate = fit(Candidate(Plain(layers=2, width=4), (Exit(0),)), digits.spec, Limits(max_params=2_000))
assert candidate.architecture.width > 4
assert from_plain(Candidate, to_plain(candidate)) == candidate
study = Study("none", "digits", objectives=("accuracy", "macs"), epochs=1, max_images=200)
record = run_trial(TrialSpec(0, candidate, study), digits)
print(record.state, candidate.architecture.described, len(record.cost.stages), record.cost.params <= 2_000)
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_backbone_of_the_guide_can_be_added_as_it_says(tmp_path):
    shutil.copytree(ROOT / "searchlab", tmp_path / "searchlab", ignore=shutil.ignore_patterns("__pycache__"))
    (patch,) = (block.text for block in blocks(ROOT / "docs" / "guide" / "extend.md") if block.language == "diff")
    for part in re.split(r"^--- ", patch, flags=re.MULTILINE)[1:]:
        heading, *hunks = re.split(r"^@@.*\n", part, flags=re.MULTILINE)
        path = tmp_path / re.search(r"\+\+\+ b/(\S+)", heading)[1]
        text = path.read_text() if path.exists() else ""
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            before, after = ("".join(line[1:] for line in lines if line[0] in kinds) for kinds in (" -", " +"))
            assert text.count(before) == 1 or not text, f"{path.name}: {before!r} is not there once"
            text = text.replace(before, after) if text else after
        path.write_text(text)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.fullmatch(r"complete plain 2 of width \d+ 2 True\n", done.stdout)
