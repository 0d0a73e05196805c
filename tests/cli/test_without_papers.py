"""searchlab where the papers are not installed: what searches needs none of them."""

import shutil
from pathlib import Path

import pytest

from searchlab.search import places


@pytest.fixture
def no_papers(tmp_path_factory, monkeypatch):
    """What searchlab brings, but for `studies/papers`."""
    bare = tmp_path_factory.mktemp("bare")
    for folder in places.FOLDERS.values():
        shutil.copytree(places.brought() / folder, bare / folder, ignore=shutil.ignore_patterns("papers"))
    monkeypatch.setattr(places, "brought", lambda: bare)


@pytest.mark.slow
def test_digits_is_searched_without_the_papers(no_papers, searchlab):
    listed = [each["file"] for each in searchlab("studies", "--json").json["studies"]]
    assert "digits" in listed and not [name for name in listed if name.startswith("paper_")]
    answer = searchlab("run", "digits", "--trials", 1, "--epochs", 1)
    assert (answer.code, answer.err) == (0, "")
    assert searchlab("front", "digits").code == 0 and Path("runs/digits/trial-00000").is_dir()


def test_a_paper_that_is_not_there_is_one_line(no_papers, searchlab):
    for command in ("run", "table"):
        searchlab(command, "paper_limited").fails("unknown-study", value="paper_limited")
