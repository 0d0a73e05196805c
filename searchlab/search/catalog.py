"""Spaces and studies by name or path: files of the user's, then those that searchlab brings."""

import ast
import importlib.util
import io
import tokenize
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

import searchlab
from searchlab.candidate import Space
from searchlab.errors import UserError, from_validation, line_of, unknown
from searchlab.study import Study

Kind = Literal["space", "study"]
FOLDERS: dict[Kind, str] = {"space": "spaces", "study": "studies"}


@dataclass(frozen=True)
class Source:
    """A file that defines a space or a study."""

    name: str
    path: Path

    @property
    def text(self) -> str:
        """The file as it stands, in the encoding that it declares.

        Raises:
            UserError: it cannot be read, or it is in another encoding.
        """
        try:
            content = self.path.read_bytes()
            encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
            return io.TextIOWrapper(io.BytesIO(content), encoding).read()
        except OSError as error:
            raise UserError(f"cannot read: {error.strerror or error}", where=str(self.path)) from error
        except (SyntaxError, UnicodeDecodeError) as error:
            raise self._no_text(content) from error

    def _no_text(self, content: bytes) -> UserError:
        wrong = next((i for i, line in enumerate(content.split(b"\n"), start=1) if not _is_utf8(line)), 1)
        return UserError("is no UTF-8 text", where=f"{self.path}:{wrong}", allowed="save it as UTF-8")

    def parsed(self) -> ast.Module:
        """The file as Python reads it; nothing of it is run.

        Raises:
            UserError: it cannot be read, or it does not parse.
        """
        text = self.text
        if "\0" in text:
            before, _, _ = text.partition("\0")
            where = f"{self.path}:{before.count(chr(10)) + 1}"
            raise UserError("does not parse: it holds a null byte", where=where)
        try:
            return ast.parse(text, str(self.path))
        except SyntaxError as error:
            where, line = f"{self.path}:{error.lineno}", (error.text or "").strip()
            raise UserError(f"does not parse: {error.msg}", where=where, value=line) from error
        except (RecursionError, MemoryError) as error:
            raise UserError("does not parse: it is nested too deeply", where=str(self.path)) from error

    @property
    def summary(self) -> str:
        """The first line of the file's docstring, or "".

        Raises:
            UserError: it cannot be read, or it does not parse.
        """
        said = (ast.get_docstring(self.parsed()) or "").splitlines()
        return said[0].rstrip(".") if said else ""

    @property
    def is_brought(self) -> bool:
        """Whether searchlab brings the file, so that it is no file of the user's."""
        return self.path.resolve().is_relative_to(_brought().resolve())


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _brought() -> Path:
    """Where the folders of spaces and studies are that searchlab brings."""
    package = Path(searchlab.__file__).parent
    return package / "builtin" if (package / "builtin").exists() else package.parent


def folders(kind: Kind, beside: Path | None = None) -> list[Path]:
    """Where files of that kind are looked for, nearest first; `beside` is the file that names them."""
    found = [place / FOLDERS[kind] for place in (Path.cwd(), _brought())]
    if beside is None:
        return found
    near = [place / FOLDERS[kind] for place in (beside.parent, beside.parent.parent)]
    # What lies in studies/ are studies, of which one may have the space's name.
    alike = [] if beside.parent.name in FOLDERS.values() else [beside.parent]
    return [*near, *alike, *found]


def places(kind: Kind, beside: Path | None = None) -> str:
    """Where files of that kind are looked for, in words: those in the working folder by their short names."""
    here = Path.cwd()
    short = [
        f"./{each.relative_to(here)}" if each.is_relative_to(here) else str(each) for each in folders(kind, beside)
    ]
    return ", ".join(dict.fromkeys(short))


def available(kind: Kind) -> list[Source]:
    """Every file of that kind that can be named, by name; a nearer file hides a farther one of the same name."""
    found: dict[str, Source] = {}
    for folder in reversed(folders(kind)):
        for path in sorted(folder.glob("*.py")):
            found[path.stem] = Source(path.stem, path)
    return [found[name] for name in sorted(found)]


def find(kind: Kind, name: str, beside: Path | None = None) -> Source:
    """The file of that name, or at that path where it ends in ".py".

    Raises:
        UserError: there is none; the known names are listed.
    """
    if name.endswith(".py"):
        path = Path(name) if beside is None or Path(name).is_absolute() else beside.parent / name
        if not path.is_file():
            raise UserError(f"no such {kind} file", value=str(path), allowed="give a name or a path to a .py file")
        return Source(path.stem, path)
    for folder in folders(kind, beside):
        if (folder / f"{name}.py").is_file():
            return Source(name, folder / f"{name}.py")
    error = unknown(kind, name, [source.name for source in available(kind)])
    looked = f"{error.allowed}; looked in {places(kind, beside)}"
    raise UserError(error.what, where=error.where, value=error.value, allowed=looked)


def load_studies(source: Source) -> tuple[Study, ...]:
    """What the file's `study()` returns: one study, named after the file where it has no name, or a tuple of them.

    Those of a tuple are named after the file and their data ("mine-digits") where they have no name.

    Raises:
        UserError: the file does not parse or run, has no such function, it returns something else, or two of one name.
    """
    returned = _called(_function(source, "study"), source)
    studies = returned if isinstance(returned, tuple) else (returned,)
    wrong = [study for study in studies if not isinstance(study, Study)] or ([] if studies else [()])
    if wrong:
        kind, allowed = type(wrong[0]).__name__, "a Study, or a tuple of them"
        raise UserError("study() must return a Study", where=str(source.path), value=kind, allowed=allowed)
    return named_after(source, studies)


def named_after(source: Source, studies: tuple[Study, ...]) -> tuple[Study, ...]:
    """The studies of a file with the names and descriptions that they have where they give themselves none.

    Raises:
        UserError: two have one name.
    """
    several = len(studies) > 1
    named = tuple(
        replace(
            study,
            name=study.name or (f"{source.name}-{study.data}" if several else source.name),
            description=study.description or source.summary,
        )
        for study in studies
    )
    names = [study.name for study in named]
    if len(set(names)) < len(names):
        raise UserError("studies of one name", where=str(source.path), value=names, allowed="give each a name")
    return named


def named_studies(name: str) -> tuple[Source, tuple[Study, ...]]:
    """The file of that name, or at that path, with all its studies; or the file of the one study of that name.

    Raises:
        UserError: there is neither, or the file is wrong.
    """
    try:
        source = find("study", name)
    except UserError:
        for other in available("study"):
            if name.startswith(f"{other.name}-"):
                parts = tuple(study for study in load_studies(other) if study.name == name)
                if parts:
                    return other, parts
        raise
    return source, load_studies(source)


def load_space(source: Source) -> Space:
    """The file's `space` function; it is not called here.

    Raises:
        UserError: the file does not parse or run, or has no such function.
    """
    return _function(source, "space")


def _called(function: Callable[[], Any], source: Source) -> Any:
    try:
        return function()
    except ValidationError as error:
        raise from_validation(error, f"{source.path}{line_of(error, source.path)}") from error
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        where = f"{source.path}{line_of(error, source.path)}"
        raise UserError(f"study() raised {type(error).__name__}: {error}", where=where) from error


def _function(source: Source, name: str) -> Callable[..., Any]:
    """Runs a user's file as a module and takes one function out of it."""
    # What is no Python is complained of with its line.
    source.parsed()
    spec = importlib.util.spec_from_file_location(f"searchlab_user_{source.name}", source.path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ValidationError as error:
        raise from_validation(error, f"{source.path}{line_of(error, source.path)}") from error
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        where = f"{source.path}{line_of(error, source.path)}"
        raise UserError(f"raised {type(error).__name__}: {error}", where=where) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise UserError(f"defines no function {name}()", where=str(source.path))
    return function  # type: ignore[no-any-return]
