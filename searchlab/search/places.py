"""Search paths of spaces, studies and papers: folders of the user, then those of searchlab.

A paper is a folder `studies/papers/NAME`. Its `study.py` is called "paper_NAME" and its `space.py` "NAME".
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import searchlab
from searchlab.user_file import SUFFIX

Kind = Literal["space", "study"]
FOLDERS: dict[Kind, str] = {"space": "spaces", "study": "studies"}

PAPERS = Path("studies") / "papers"
PAPER_FILES: dict[Kind, str] = {"space": "space.py", "study": "study.py"}
"""Names of the space's and the study's file in the folder of a paper."""

PREFIXES: dict[Kind, str] = {"space": "", "study": "paper_"}
"""Prefix of a paper's folder name in the name of its space or study."""


def brought() -> Path:
    """Returns the folder with searchlab's spaces and studies."""
    package = Path(searchlab.__file__).parent
    return package / "builtin" if (package / "builtin").exists() else package.parent


def folders(kind: Kind, beside: Path | None = None) -> list[Path]:
    """Returns the folders to search for files of that kind, nearest first; `beside` is the file that names them."""
    found = [place / FOLDERS[kind] for place in (Path.cwd(), brought())]
    if beside is None:
        return found
    near = [place / FOLDERS[kind] for place in (beside.parent, beside.parent.parent)]
    # Files in studies/ are studies, which may have the space's name.
    alike = [] if beside.parent.name in FOLDERS.values() else [beside.parent]
    return [*near, *alike, *found]


def paper_folders(beside: Path | None = None) -> list[Path]:
    """Where the folders of papers are looked for, nearest first; `beside` is the file of the study that names one."""
    found = [place / PAPERS for place in (Path.cwd(), brought())]
    if beside is None:
        return found
    parents = beside.absolute().parents
    near = [parents[1]] if is_in_paper(beside) else []
    return [*near, *(place / PAPERS for place in parents[:2]), *found]


def in_words(paths: list[Path]) -> str:
    """Formats folders for a message; those in the working folder are relative."""
    here = Path.cwd()
    short = [f"./{each.relative_to(here)}" if each.is_relative_to(here) else str(each) for each in paths]
    return ", ".join(dict.fromkeys(short))


def paths_of(kind: Kind, name: str, beside: Path | None = None) -> Iterator[Path]:
    """Yields the possible paths of a file of that name, nearest first."""
    paper = name.removeprefix(PREFIXES[kind]) if name.startswith(PREFIXES[kind]) else ""
    in_paper = Path(paper) / PAPER_FILES[kind]
    if paper and beside is not None and is_in_paper(beside):
        yield beside.absolute().parent.parent / in_paper
    for folder in folders(kind, beside):
        yield folder / f"{name}{SUFFIX}"
        if paper:
            yield folder.parent / PAPERS / in_paper


def every_path(kind: Kind) -> dict[str, Path]:
    """Returns every file of that kind by name; a nearer file hides a farther one of the same name."""
    found: dict[str, Path] = {}
    for folder in reversed(folders(kind)):
        in_papers = sorted((folder.parent / PAPERS).glob(f"*/{PAPER_FILES[kind]}"))
        found |= {name_of(path): path for path in (*in_papers, *sorted(folder.glob(f"*{SUFFIX}")))}
    return dict(sorted(found.items()))


def is_in_paper(path: Path) -> bool:
    """Whether a file is the space or the study of a paper."""
    return path.name in PAPER_FILES.values() and path.absolute().parent.parent.parts[-2:] == PAPERS.parts


def name_of(path: Path) -> str:
    """Returns the name of the space or study in a file."""
    if not is_in_paper(path):
        return path.stem
    kind: Kind = "study" if path.name == PAPER_FILES["study"] else "space"
    return PREFIXES[kind] + path.absolute().parent.name
