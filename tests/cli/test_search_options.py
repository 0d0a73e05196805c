"""Help texts name every entry of the dicts of extensions."""

import pytest

from searchlab.cli.main import main
from searchlab.cli.search_options import explained, listed
from searchlab.data.augment import STEPS
from searchlab.objective import OBJECTIVES
from searchlab.search.early_stopping import EARLY_STOPPING
from searchlab.search.launch import RUNNERS
from searchlab.search.samplers import SAMPLERS
from searchlab.train.regimes import REGIMES
from searchlab.train.schedules import SCHEDULES


@pytest.mark.parametrize(
    "names",
    [SAMPLERS, EARLY_STOPPING, OBJECTIVES, RUNNERS, STEPS, SCHEDULES, REGIMES],
    ids=["sampler", "rule", "objective", "runner", "augmentation step", "schedule", "regime"],
)
def test_the_help_of_run_names_all(names, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["run", "--help"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in names)


def test_names_are_listed_in_words():
    assert [listed(["a"]), listed("ab"), listed("abc")] == ["a", "a or b", "a, b or c"]


def test_a_function_without_a_docstring_is_named():
    def f() -> None:
        """Runs it. Twice.

        More."""

    assert explained({"x": f, "y": lambda: None}) == "x: runs it. Twice. y."
