"""Errors with a stable code: UserError for invalid input, RunError, TrialFailure; conversion of pydantic's errors."""

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
    """Invalid input or an invalid state that the user can correct: printed as one line, exit code 2.

    Attributes:
        code: stable name of the fault, one of `error_codes.CODES` ("unknown-data-set").
        what: short description of the fault ("unknown data set").
        where: the invalid file, option or field; "" if there is none.
        value: the invalid value as given, or None.
        allowed: what is allowed, or how to correct the fault.
    """

    def __init__(self, code: str, what: str, *, where: str = "", value: object = None, allowed: str = "") -> None:
        assert code in CODES, code
        self.code, self.what, self.where, self.value, self.allowed = code, what, where, value, allowed
        # Pickle calls the class with these arguments in another process.
        super().__init__(code, what)

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        if self.value is not None:
            line += f": {self.value!r}"
        if self.allowed:
            line += f" ({self.allowed})"
        return " ".join(line.split())

    def at(self, where: str, value: object = None) -> Self:
        """Returns the same fault with another place, and another value if given."""
        value = self.value if value is None else value
        return type(self)(self.code, self.what, where=where, value=value, allowed=self.allowed)


class RunError(UserError):
    """A fault of the disk, the device or the store. It ends the run and does not fail the trial."""


class TrialFailure(Exception):
    """A trial cannot continue (divergence, out of memory). It becomes the `reason` of a failed record."""

    def __init__(self, code: str, what: str) -> None:
        assert code in CODES, code
        self.code = code
        super().__init__(code, what)

    def __str__(self) -> str:
        return str(self.args[1])


def reason_of(error: Exception) -> str:
    """Returns why a trial failed, in one line; for an unexpected error with its type and source line."""
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
    """Returns a file's path relative to its import folder, so that records contain no local folder."""
    folders = [folder for folder in map(Path, sys.path) if folder.is_absolute() and Path(file).is_relative_to(folder)]
    return min((Path(file).relative_to(folder).as_posix() for folder in folders), key=len, default=Path(file).name)


def unknown(kind: str, value: str, known: Iterable[object], *, where: str = "", besides: str = "") -> UserError:
    """Makes the error for an unknown name, with the known names and a suggestion.

    Its code is "unknown-" and the kind (for "study or space" the first word). `besides` describes values that are
    allowed besides names ("a .py file").
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
    """Returns ":12", the last line of a user's file in the traceback of an error; "" if the file is not in it."""
    path = Path(file).absolute()
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if Path(frame.filename).absolute() == path]
    return f":{lines[-1]}" if lines else ""


def from_validation(error: ValidationError, where: str) -> UserError:
    """Converts a validation error of pydantic: its first fault, with field and value."""
    first = error.errors()[0]
    path = ".".join([error.title, *_field_path(first["loc"], error.title)])
    more = f"and {error.error_count() - 1} more" if error.error_count() > 1 else ""
    given = first["input"] if isinstance(first["input"], int | float | str | list | tuple) else None
    meant = ""
    if first["type"] == "unexpected_keyword_argument" and len(first["loc"]) == 1:
        meant = did_you_mean(str(first["loc"][0]), (f.name for kind in _nouns(error.title) for f in fields(kind)))
    code, fault = _FAULTS.get(first["type"], ("invalid-field", "invalid"))
    allowed = "; ".join(filter(None, [_wish(first), meant.rstrip(), more]))
    return UserError(code, f"{fault} {path}", where=where, value=given, allowed=allowed)


def _nouns(title: str) -> list[type[Any]]:
    return [kind for kind in object.__subclasses__() if kind.__name__ == title and is_pydantic_dataclass(kind)]


def _field_path(loc: tuple[int | str, ...], title: str) -> list[str]:
    """Returns the path of a field. Pydantic numbers positional arguments; this returns their names."""
    path = [str(part) for part in loc]
    nouns = _nouns(title)
    if loc and isinstance(loc[0], int) and nouns:
        path[0] = fields(nouns[0])[loc[0]].name
    return path


_FAULTS = {
    "missing": ("missing-field", "missing field"),
    "unexpected_keyword_argument": ("unknown-field", "unknown field"),
}


def _wish(complaint: ErrorDetails) -> str:
    """What is allowed, in pydantic's words: "must be 1, 3, 5 or 7"; "" for a missing or unknown field."""
    if complaint["type"] in _FAULTS:
        return ""
    message = complaint["msg"].removeprefix("Value error, ").replace("Input should be ", "must be ")
    return message.replace(" after validation", "")


class Interrupted(Exception):
    """The user interrupted the run. Running trials stay unfinished in the store, for `searchlab resume`."""


class NotBegun(Interrupted):
    """The user interrupted the run before the study was in the store: there is nothing to resume."""
