"""The Markdown pages of the repository: their headings, links and code blocks."""

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

MARK = re.compile(r"<!--\s*example:\s*(?P<how>run|slow|not run)\b(?:\s+with\s+(?P<options>[^>]*?))?(?:: [^>]*?)?\s*-->")
"""The comment before a code block that says how its test treats it; CONTRIBUTING.md explains the forms."""


@dataclass(frozen=True)
class Link:
    """A link or image: the line of its paragraph, and what it points to."""

    line: int
    target: str


@dataclass(frozen=True)
class Block:
    """A fenced code block; `how` is "" where no comment marks it, `options` are appended to each command."""

    line: int
    language: str
    text: str
    how: str = ""
    options: tuple[str, ...] = ()

    @property
    def file_name(self) -> str | None:
        """The name of the file that the block shows: its first line is then a comment with nothing but that name."""
        first = re.match(r"# ([\w/]+\.(?:py|ipynb))\n", self.text)
        return first[1] if first else None

    @property
    def commands(self) -> list[str]:
        """The lines after a `$`, continuation lines joined; every line of a block that has no `$`."""
        lines = self.text.replace("\\\n", " ").splitlines()
        prompts = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [line.strip() for line in prompts or lines if line.strip() and not line.startswith("#")]


def tokens(path: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))


def links(path: Path) -> list[Link]:
    found = []
    for token in tokens(path):
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if target:
                found.append(Link((token.map or (0,))[0] + 1, str(target)))
    return found


def headings(path: Path) -> list[str]:
    every = tokens(path)
    inline = [after for before, after in pairwise(every) if before.type == "heading_open"]
    return ["".join(child.content for child in token.children or ()) for token in inline]


def anchors(path: Path) -> set[str]:
    """Anchors that both the site and a repository's web page make of a heading."""
    return {site_slug(text) for text in headings(path)} & {repository_slug(text) for text in headings(path)}


def site_slug(text: str) -> str:
    """The anchor that Python-Markdown's `toc` makes of a heading."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_only).strip().lower())


def repository_slug(text: str) -> str:
    """The anchor that the web pages of repositories make of a heading."""
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def blocks(path: Path) -> list[Block]:
    found, before = [], None
    for token in tokens(path):
        if token.type == "fence":
            comment = before.content.strip() if before and before.type == "html_block" else ""
            mark = MARK.fullmatch(comment)
            if "example" in comment and not mark:
                raise ValueError(f"{path.name}: unknown mark {comment}")
            how, options = (mark["how"], tuple((mark["options"] or "").split())) if mark else ("", ())
            language = (token.info.split() or [""])[0]
            found.append(Block((token.map or (0,))[0] + 1, language, token.content, how, options))
        before = token
    return found
