"""Every relative link of the Markdown pages leads to a file and a heading that exist."""

from pathlib import Path

import pytest
from pages import DOCS, PAGES, ROOT, anchors, links, repository_slug, site_slug


def broken(path: Path, docs: Path = DOCS) -> list[str]:
    """One line per link that leads nowhere; a page of the site may link to pages of the site only."""
    found = []
    for link in links(path):
        name, _, anchor = link.target.partition("#")
        if "://" in link.target or name.startswith("mailto:"):
            continue
        target = (path.parent / name).resolve() if name else path
        where = f"{path.relative_to(docs.parent)}:{link.line}: {link.target}"
        if not target.exists():
            found.append(f"{where}: no such file")
        elif docs in path.parents and docs not in target.parents:
            found.append(f"{where}: outside docs/, so missing from the site")
        elif anchor and anchor not in anchors(target):
            found.append(f"{where}: no such heading")
    return found


def test_every_relative_link_and_anchor_resolves():
    problems = [line for path in PAGES for line in broken(path)]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[a](nowhere.md)", "no such file"),
        ("# One\n\n[a](#two)", "no such heading"),
        ("[a](../README.md)", "outside docs/"),
        ("![a](picture.svg)", "no such file"),
    ],
)
def test_a_broken_link_is_found(tmp_path, text, says):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").touch()
    page = tmp_path / "docs" / "page.md"
    page.write_text(text)
    (line,) = broken(page, tmp_path / "docs")
    assert line.startswith("docs/page.md:") and says in line


def test_anchors_are_those_of_the_site_and_of_the_repository():
    assert site_slug("What `front --test` reads, and why") == "what-front-test-reads-and-why"
    assert repository_slug("A space: one file") == site_slug("A space: one file") == "a-space-one-file"


def test_every_page_is_in_the_navigation():
    """A page that the navigation leaves out is on the site, but nobody finds it."""
    navigation = (ROOT / "zensical.toml").read_text()
    pages = [path.relative_to(DOCS).as_posix() for path in PAGES if DOCS in path.parents]
    assert [page for page in pages if f'"{page}"' not in navigation] == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 250
