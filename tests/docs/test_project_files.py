"""Licence, citation and metadata agree with the package."""

import re
import tomllib

from pages import ROOT
from test_layers import TOP_TO_BOTTOM

import searchlab
from searchlab.error_codes import CODES

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


def test_the_layers_of_the_docs_are_those_that_the_tests_enforce():
    page = (ROOT / "docs" / "architecture.md").read_text()
    (listed,) = re.findall(r"## Layers\n.*?```\w*\n(.*?)```", page, flags=re.DOTALL)
    layers = [tuple(line.split(", ")) for line in listed.splitlines()]
    assert [set(layer) for layer in layers] == [set(layer) for layer in TOP_TO_BOTTOM]


def test_the_tree_of_the_readme_lists_every_folder():
    (tree,) = re.findall(r"## The tree\n\n```\w*\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    listed = set(re.findall(r"^ *([\w/]+)/ ", tree, flags=re.MULTILINE))
    package = {path.parent.name for path in (ROOT / "searchlab").glob("*/__init__.py")}
    assert package | {"searchlab", "spaces", "studies", "tests", "benchmarks", "docs"} == listed - {"papers/NAME"}


def test_the_guide_names_dicts_that_exist():
    guide = (ROOT / "docs" / "guide" / "extend.md").read_text()
    named = re.findall(r"^\| `(\w+)` \| `([\w/.]+)` \|", guide, flags=re.MULTILINE)
    assert len(named) >= 10
    gone = [name for name, file in named if f"\n{name}: " not in (ROOT / "searchlab" / file).read_text()]
    assert gone == []


def test_the_page_of_error_codes_lists_the_registry():
    listed = re.findall(
        r"^\| `([\w-]+)` \| (.+?) \| (.+?) \|$", (ROOT / "docs/guide/errors.md").read_text(), flags=re.MULTILINE
    )
    assert {code: (meaning, mend) for code, meaning, mend in listed} == {
        code: (known.meaning, known.mend) for code, known in CODES.items()
    }
