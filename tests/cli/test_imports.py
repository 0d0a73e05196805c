"""Commands that only read the store start without the heavy libraries: one process runs them all, but for the plot."""

import json
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest
from tiny import IMAGES, Seen, run, tiny_space, tiny_study

from searchlab.search.driver import Driver, Problem
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore
from searchlab.study import RunOptions

HEAVY = ("torch", "torchvision", "sklearn", "scipy", "pandas", "pyarrow", "plotly", "matplotlib", "ray")

STEPS = """
import contextlib, io, json, sys
import searchlab
loaded = {"import searchlab": sorted(sys.modules)}
from searchlab.cli.main import main
for command in map(str.split, sys.argv[2:]):
    with contextlib.redirect_stdout(io.StringIO()):
        code = main([*command] if command[0] in ("--help", "studies") else [*command, "--output", sys.argv[1]])
        assert code == (2 if command[0] == "remove" else 0), "there is no terminal to ask"
    loaded[command[0]] = sorted(sys.modules)
print(json.dumps(loaded))
"""
"""Runs the commands in one process; prints, for each, the modules that are imported by then."""


READING = ("--help", "studies", "runs", "trials", "front", "show 1", "profile tiny --list", "remove tiny")


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    """Where a study was run with trials that are made up."""
    output = tmp_path_factory.mktemp("imports") / "runs"
    study, where = tiny_study(trials=2), RunOptions(output=output)
    store = StudyStore.create(
        Definition(study, study, ""), open_storage(where.storage_url, create=True), where.storage_url
    )
    run(Driver(Problem(study, tiny_space, IMAGES), store, where, "cpu", Seen(), Event()))
    return output


def run_steps(output: Path, *commands: str) -> dict[str, list[str]]:
    """The imported modules after each command."""
    command = [sys.executable, "-c", STEPS, str(output), *commands]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=output.parent)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def loaded(output) -> dict[str, list[str]]:
    return run_steps(output, *READING)


@pytest.mark.parametrize(
    "step", ["import searchlab", "--help", "studies", "runs", "trials", "front", "show", "profile", "remove"]
)
def test_a_command_that_only_reads_the_store_imports_no_heavy_library(loaded, step):
    assert not set(HEAVY) & set(loaded[step])


@pytest.mark.slow
def test_a_plot_of_the_front_imports_no_torch_and_no_scikit_learn(output):
    assert not {"torch", "torchvision", "sklearn", "ray"} & set(run_steps(output, "plot")["plot"])


@pytest.mark.parametrize("step", ["import searchlab", "--help"])
def test_help_imports_no_optuna(loaded, step):
    assert not {"optuna", "sqlalchemy", "numpy"} & set(loaded[step])


@pytest.mark.slow
def test_a_worker_starts_without_the_libraries_of_the_data_and_of_the_driver():
    """It gets its images split, and what it finds is searched elsewhere."""
    code = "import sys, searchlab.trial; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"sklearn", "pandas", "plotly", "matplotlib", "optuna", "ray"} & set(done.stdout.split())
