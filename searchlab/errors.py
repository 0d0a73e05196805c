"""The one error that a user can cause, and how pydantic's complaints become one of it."""

import sys
from collections.abc import Iterable
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from traceback import extract_tb
from typing import Any, Self

from pydantic import ValidationError
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic_core import ErrorDetails

from searchlab.error_codes import CODES


class UserError(Exception):
    """A mistake of the user's: the command line prints it as one line and exits with 2.

    Attributes:
        code: the stable name of the fault, one of `error_codes.CODES` ("unknown-data-set").
        what: what is wrong, as a short clause ("unknown data set").
        where: the file, option or field that is wrong, or "" where there is none.
        value: the offending value as it was given, or None.
        allowed: what is allowed, or what mends it.
    """

    def __init__(self, code: str, what: str, *, where: str = "", value: object = None, allowed: str = "") -> None:
        assert code in CODES, code
        self.code, self.what, self.where, self.value, self.allowed = code, what, where, value, allowed
        # What pickle makes it from again, in another process.
        super().__init__(code, what)

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        if self.value is not None:
            line += f": {self.value!r}"
        if self.allowed:
            line += f" ({self.allowed})"
        return " ".join(line.split())

    def at(self, where: str, value: object = None) -> Self:
        """The same fault at another place, with another value if one is given."""
        value = self.value if value is None else value
        return type(self)(self.code, self.what, where=where, value=value, allowed=self.allowed)


class RunError(UserError):
    """A fault of the run as a whole: the disk, the device or the store. It ends the run, and never fails a trial."""


class TrialFailure(Exception):
    """A trial cannot continue (divergence, out of memory). It becomes the `reason` of a failed record."""

    def __init__(self, code: str, what: str) -> None:
        assert code in CODES, code
        self.code = code
        super().__init__(code, what)

    def __str__(self) -> str:
        return str(self.args[1])


def reason_of(error: Exception) -> str:
    """Why a trial failed, in one line; of an error that nobody foresaw, its type and where it was raised."""
    if isinstance(error, UserError | TrialFailure):
        return str(error)
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text}{_raised_at(error)}"


def _raised_at(error: Exception) -> str:
    """ " (torch/nn/functional.py:2820, called at searchlab/train/loop.py:130)"."""
    frames = [f"{_importable(frame.filename)}:{frame.lineno}" for frame in extract_tb(error.__traceback__)]
    if not frames:
        return ""
    ours = [frame for frame in frames if frame.startswith("searchlab/")]
    called = f", called at {ours[-1]}" if ours and ours[-1] != frames[-1] else ""
    return f" ({frames[-1]}{called})"


def _importable(file: str) -> str:
    """A file's path below the folder that it was imported from, so that no folder of this machine is in a record."""
    folders = [folder for folder in map(Path, sys.path) if folder.is_absolute() and Path(file).is_relative_to(folder)]
    return min((Path(file).relative_to(folder).as_posix() for folder in folders), key=len, default=Path(file).name)


def unknown(kind: str, value: str, known: Iterable[object], *, where: str = "", besides: str = "") -> UserError:
    """The error for a name that is in no dict of extensions; a known name that is close comes before the others.

    Its code is "unknown-" and the kind, of "study or space" the first. `besides` is what may be given that is no name
    ("a .py file").
    """
    code = "unknown-" + kind.partition(" or ")[0].replace(" ", "-")
    names = sorted(str(name) for name in known)
    more = f"; or {besides}" if besides else ""
    allowed = f"{did_you_mean(value, names)}known: {', '.join(names) or 'none'}{more}"
    return UserError(code, f"unknown {kind}", where=where, value=value, allowed=allowed)


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """ "did you mean 'digits'? ", or "" where no known name is close."""
    names = {name.lower(): name for name in known}
    close = get_close_matches(value.lower(), names, n=1)
    return f"did you mean {names[close[0]]!r}? " if close else ""


def line_of(error: BaseException, file: str | Path) -> str:
    """ ":12", the line of a user's file that an error was raised at, or that called what raised it; "" elsewhere."""
    path = Path(file).absolute()
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if Path(frame.filename).absolute() == path]
    return f":{lines[-1]}" if lines else ""


def from_validation(error: ValidationError, where: str) -> UserError:
    """The first complaint of pydantic about a noun, as one line that names the field and the value."""
    first = error.errors()[0]
    path = ".".join([error.title, *_field_path(first["loc"], error.title)])
    more = f"; and {error.error_count() - 1} more" if error.error_count() > 1 else ""
    given = first["input"] if isinstance(first["input"], int | float | str | list | tuple) else None
    meant = ""
    if first["type"] == "unexpected_keyword_argument" and len(first["loc"]) == 1:
        meant = did_you_mean(str(first["loc"][0]), (f.name for kind in _nouns(error.title) for f in fields(kind)))
        meant = f"; {meant.rstrip()}" if meant else ""
    code = _CODES_OF.get(first["type"], "invalid-field")
    return UserError(code, f"{path} is not valid", where=where, value=given, allowed=_wish(first) + meant + more)


def _nouns(title: str) -> list[type[Any]]:
    return [kind for kind in object.__subclasses__() if kind.__name__ == title and is_pydantic_dataclass(kind)]


def _field_path(loc: tuple[int | str, ...], title: str) -> list[str]:
    """The way to the field. Pydantic counts what was passed by position; a reader looks for the field's name."""
    path = [str(part) for part in loc]
    nouns = _nouns(title)
    if loc and isinstance(loc[0], int) and nouns:
        path[0] = fields(nouns[0])[loc[0]].name
    return path


_CODES_OF = {"missing": "missing-field", "unexpected_keyword_argument": "unknown-field"}
_WISHES = {"missing": "it is required", "unexpected_keyword_argument": "there is no such field"}


def _wish(complaint: ErrorDetails) -> str:
    """What is allowed, in pydantic's words where they are good enough: "must be 1, 3, 5 or 7"."""
    message = complaint["msg"].removeprefix("Value error, ").replace("Input should be ", "must be ")
    return _WISHES.get(complaint["type"], message.replace(" after validation", ""))


class Interrupted(Exception):
    """The user asked to end. What was running is left unfinished in the store, for `searchlab resume`."""


class NotBegun(Interrupted):
    """The user asked to end before the study was in the store: there is nothing to resume."""
