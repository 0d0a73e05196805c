"""Python files of users: spaces, studies, data sets, scores and samplers outside the package.

A file is executed from its text, which is stored with the study, so that it is available on every machine.
"""

import ast
import io
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from pydantic import ValidationError
from pydantic.dataclasses import dataclass

from searchlab.errors import Interrupted, UserError, from_validation, line_of
from searchlab.serialization import NOUN

SUFFIX = ".py"

FUNCTIONS = {"data set": "dataset", "score": "score", "sampler": "sampler"}
"""Kinds of files that a study can name, and the function that each must define."""


@dataclass(frozen=True, config=NOUN)
class UserFile:
    """A file with its text. `name` is its name in a study; `path` is where it was read, and its `__file__`."""

    name: str
    path: str
    text: str

    @property
    def stem(self) -> str:
        """The name without folder and suffix."""
        return Path(self.name).stem

    @property
    def place(self) -> str:
        """The path for messages: relative to the working folder, if the file is below it."""
        return place_of(self.path)


def place_of(path: str | Path) -> str:
    """Returns a path for messages: relative to the working folder, if it is below it or was given relative to it."""
    here, whole = Path.cwd(), Path(path).absolute()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else Path(path))


def is_file_name(name: str) -> bool:
    """Whether a name in a study is a file name."""
    return name.endswith(SUFFIX)


def read_file(name: str, path: Path) -> UserFile:
    """Reads the file at a path, in its declared encoding.

    Raises:
        UserError: it cannot be read, or it is in another encoding.
    """
    try:
        content = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = io.TextIOWrapper(io.BytesIO(content), encoding).read()
    except OSError as error:
        raise UserError("cannot-read", f"cannot read: {error.strerror or error}", where=place_of(path)) from error
    except (SyntaxError, UnicodeDecodeError) as error:
        wrong = next((i for i, line in enumerate(content.split(b"\n"), start=1) if not _is_utf8(line)), 1)
        raise UserError(
            "invalid-encoding", "not UTF-8 text", where=f"{place_of(path)}:{wrong}", allowed="save it as UTF-8"
        ) from error
    return UserFile(name, str(path.absolute()), text)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def parsed(file: UserFile) -> ast.Module:
    """Parses a file without running it.

    Raises:
        UserError: it does not parse.
    """
    if "\0" in file.text:
        before, _, _ = file.text.partition("\0")
        where = f"{file.place}:{before.count(chr(10)) + 1}"
        raise UserError("invalid-python", "invalid syntax: the file contains a null byte", where=where)
    try:
        return ast.parse(file.text, file.path)
    except SyntaxError as error:
        where, line = f"{file.place}:{error.lineno}", (error.text or "").strip()
        raise UserError("invalid-python", f"invalid syntax: {error.msg}", where=where, value=line) from error
    except (RecursionError, MemoryError) as error:
        raise UserError("invalid-python", "invalid syntax: nested too deeply", where=file.place) from error


def bound(tree: ast.Module, name: str) -> int:
    """How often a file binds a name at its top or anywhere below."""
    stored = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store)]
    imported = [n for n in ast.walk(tree) if isinstance(n, ast.alias) and (n.asname or n.name) == name]
    return len(stored) + len(imported)


def defines(tree: ast.Module, name: str) -> bool:
    """Whether a file defines a function of that name, or binds the name."""
    return bool(bound(tree, name)) or any(isinstance(n, ast.FunctionDef) and n.name == name for n in tree.body)


def file_named(kind: str, name: str, files: Iterable[UserFile] = (), beside: Path | None = None) -> UserFile:
    """Returns the file of that name from a list, else reads it from the path, relative to the file `beside`.

    Raises:
        UserError: the file is missing; `kind` is its kind in the error.
    """
    for file in files:
        if file.name == name:
            return file
    return read_file(name, path_named(kind, name, beside))


def path_named(kind: str, name: str, beside: Path | None = None) -> Path:
    """Resolves the path of a name, relative to the folder of the file `beside`, else to the working folder.

    Raises:
        UserError: the file is missing.
    """
    path = Path(name).expanduser()
    path = path if beside is None or path.is_absolute() else beside.parent / path
    if not path.is_file():
        where, allowed = place_of(beside) if beside else "", "give a name or a path to a .py file"
        raise UserError("path-not-found", f"{kind} file not found", where=where, value=place_of(path), allowed=allowed)
    return path


def function_of(file: UserFile, name: str) -> Callable[..., Any]:
    """Runs a file as a module and returns one of its functions.

    Raises:
        UserError: the file does not parse or run, or lacks the function.
    """
    function = getattr(_run(file), name, None)
    if not callable(function):
        raise UserError("missing-function", f"function {name}() is missing", where=file.place)
    return function  # type: ignore[no-any-return]


@contextmanager
def blamed(file: UserFile, what: str = "", passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turns exceptions of a file's code into one line with path and line; `what` is the name of the code.

    Errors of searchlab, and those of types in `passing`, are not changed.
    """
    try:
        yield
    except ValidationError as error:
        raise from_validation(error, f"{file.place}{line_of(error, file.path)}") from error
    except (Exception, SystemExit) as error:  # Of any type: this is the user's code.
        if isinstance(error, (UserError, Interrupted, *passing)):
            raise
        frames = extract_tb(error.__traceback__)
        # An assertion often has no message but its source line.
        text = str(error) or (frames[-1].line if isinstance(error, AssertionError) else "") or "no message"
        said = f"{what} raised {type(error).__name__}: {text}".strip()
        raise UserError("user-code-raised", said, where=f"{file.place}{line_of(error, file.path)}") from error


def _run(file: UserFile) -> ModuleType:
    tree = parsed(file)
    module = ModuleType(f"searchlab_user_{file.stem}")
    module.__file__ = file.path
    # Dataclasses and pydantic look up type names in this module.
    sys.modules[module.__name__] = module
    with blamed(file):
        exec(compile(tree, file.path, "exec"), module.__dict__)
    return module
