"""Papers by name: each is a package in `studies/papers`, imported when its tables or its evaluation are needed."""

import hashlib
import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from searchlab.errors import UserError, unknown
from searchlab.papers.paper import Paper
from searchlab.search.places import PREFIXES, in_words, paper_folders
from searchlab.user_file import UserFile, blamed, parsed, place_of, read_file

TABLES, PAPER = "tables", "PAPER"
"""The module of a paper that defines its `Paper`, and under which name."""


def known_papers(beside: Path | None = None) -> dict[str, Path]:
    """The folder of every paper, by name ("paper_mine"); one of the user's hides one that searchlab brings.

    Those near the file `beside`, that of a study which names a paper, hide all others.
    """
    found: dict[str, Path] = {}
    for folder in reversed(paper_folders(beside)):
        found |= {PREFIXES["study"] + path.parent.name: path.parent for path in folder.glob(f"*/{TABLES}.py")}
    return found


def load_paper(name: str, beside: Path | None = None) -> Paper:
    """The paper of that name; `beside` is the file of the study that names it.

    Raises:
        UserError: the name is unknown, a module of the paper cannot be imported, or it defines no `PAPER`.
    """
    folder = _folder(name, beside)
    paper = getattr(_imported(folder, TABLES), PAPER, None)
    if not isinstance(paper, Paper):
        where, allowed = place_of(folder / f"{TABLES}.py"), f"write {PAPER} = Paper(...)"
        raise UserError("missing-function", f"{PAPER} is missing", where=where, allowed=allowed)
    return paper


def import_part(name: str, part: str) -> ModuleType:
    """Imports a module of a paper ("evaluation") as part of a package, so that relative imports work.

    Raises:
        UserError: the paper is unknown, or the module cannot be imported.
    """
    return _imported(_folder(name), part)


def _imported(folder: Path, part: str) -> ModuleType:
    file = read_file(part, folder / f"{part}.py")
    parsed(file)
    with _blamed(file, folder):
        importlib.invalidate_caches()  # a file may be newer than the last import from its folder
        return importlib.import_module(f"{_package(folder)}.{part}")


@contextmanager
def _blamed(file: UserFile, folder: Path) -> Iterator[None]:
    """As `blamed`, with the file of the paper that raised: `file` imports others of its folder."""
    try:
        yield
    except (Exception, SystemExit) as error:  # of any type: it is the user's code
        paths = [frame.filename for frame in extract_tb(error.__traceback__)]
        paths += [error.filename or ""] if isinstance(error, SyntaxError) else []
        inside = [Path(path) for path in paths if Path(path).parent == folder.resolve()]
        raised = read_file(inside[-1].stem, inside[-1]) if inside else file
        parsed(raised)
        with blamed(raised):
            raise


def _folder(name: str, beside: Path | None = None) -> Path:
    known = known_papers(beside)
    if name not in known:
        error, looked = unknown("paper", name, known, where="Study.paper"), in_words(paper_folders(beside))
        allowed = f"{error.allowed}; searched for NAME/{TABLES}.py in {looked}"
        raise UserError(error.code, error.what, where=error.where, value=error.value, allowed=allowed)
    return known[name]


def _package(folder: Path) -> str:
    """Returns the package name of a folder; folders with equal names get different packages."""
    digest = hashlib.blake2s(str(folder.resolve()).encode(), digest_size=4).hexdigest()
    plain = re.sub(r"\W", "_", folder.name)
    name = f"searchlab_paper_{plain}_{digest}"
    if name not in sys.modules:
        spec = _spec(name, folder)
        sys.modules[name] = module_from_spec(spec)
        if spec.loader is not None:
            spec.loader.exec_module(sys.modules[name])
    return name


def _spec(name: str, folder: Path) -> ModuleSpec:
    """Makes the import spec of a package with or without `__init__.py`."""
    inside, init = [str(folder.resolve())], folder / "__init__.py"
    spec = spec_from_file_location(name, init, submodule_search_locations=inside) if init.is_file() else None
    if spec is None:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = inside
    return spec
