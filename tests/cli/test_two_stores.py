"""Two stores on one output folder, from the command line."""

from pathlib import Path

import pytest

from searchlab.search.outputs import FILE, Owner
from searchlab.serialization import to_json


@pytest.fixture
def others_folder(searchlab):
    """A study was run, and its folder is another study's by now."""
    assert searchlab("run", "little", "--trials", 1, "--epochs", 1).code == 0
    owner = Path("runs/little") / FILE
    mine = owner.read_text()
    owner.write_text(to_json(Owner("another", "little", "sqlite:////elsewhere/studies.db")))
    return owner, mine


@pytest.mark.slow
def test_no_command_reads_or_writes_another_studys_folder(others_folder, searchlab):
    for command in (
        ("run", "little", "--storage", "sqlite:///other.db"),
        ("resume", "little", "--trials", 2),
        ("replicate", "little"),
        ("front", "little", "--test"),
        ("plot", "little"),
    ):
        answer = searchlab(*command)
        answer.fails("folder-of-another-study", value="sqlite:////elsewhere/studies.db")
    assert not Path("runs/little/trial-00001").exists() and not Path("runs/little/front.html").exists()
    assert searchlab("front", "little").err == "", "what the store holds is shown all the same"
    shown = searchlab("show", 1, "little")
    assert shown.code == 0 and "the artefacts may be those of another study" in shown.err
    owner, mine = others_folder
    owner.write_text(mine)
    assert searchlab("show", 1, "little").err == ""
    assert searchlab("resume", "little", "--trials", 2).code == 0
