"""Licence, citation and metadata agree with the package."""

import re
import tomllib

from pages import ROOT

import searchlab

METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_citation_has_the_version_of_the_package():
    assert f"version: {searchlab.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_licence_is_the_one_that_the_metadata_names():
    text = (ROOT / "LICENSE").read_text()
    (holder,) = METADATA["authors"]
    assert text.startswith(f"{METADATA['license']} License\n") and holder["name"] in text


def test_every_extra_is_pinned():
    """An unpinned package makes a set-up of tomorrow another one than today's."""
    pinned = {name(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    extras = METADATA["optional-dependencies"]
    wanted = {name(each) for extra in ("dev", "docs") for each in extras[extra]} | set(
        map(name, METADATA["dependencies"])
    )
    assert wanted - pinned == set()


def name(requirement: str) -> str:
    return re.split(r"[\[=<>]", requirement)[0].lower().replace("_", "-")


def test_nothing_refers_to_a_document_that_is_not_here():
    """A reader of the code cannot look up the section of a page that the repository does not have."""
    folders = ("searchlab", "tests", "benchmarks", "docs", "spaces", "studies")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".pyi", ".md")]
    outside = re.compile(r"\bdesign " + r"section|design\.md")
    assert [path.name for path in [*files, *ROOT.glob("*.md")] if outside.search(path.read_text())] == []
