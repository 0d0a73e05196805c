"""Checks of a user's error by its code, its place and its value. Its sentence may be reworded, and is not checked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from searchlab.errors import UserError

ANY: Any = object()
"""A place or a value that a test does not check."""


@dataclass
class raises_code:
    """A context manager: the block raises an error of this code, whose one line mentions all that is named.

    Attributes:
        code: the code of the error.
        where: the whole place of the error, "" for none.
        value: the whole value of the error, None for none.
        mentions: text that the line must hold besides: names of options, files or known names.
        kind: the class of the error.
    """

    code: str
    where: str = ANY
    value: object = ANY
    mentions: str | Sequence[str] = ()
    kind: type[Exception] = UserError
    _raises: Any = field(default=None, init=False, repr=False)

    def __enter__(self) -> "pytest.ExceptionInfo[Any]":
        self._raises = pytest.raises(self.kind)
        self._caught = self._raises.__enter__()
        return self._caught

    def __exit__(self, *raised: Any) -> bool:
        caught = self._raises.__exit__(*raised)
        if caught:
            self.check(self._caught.value)
        return bool(caught)

    def check(self, error: Any) -> None:
        """Asserts that an error is the named one."""
        assert error.code == self.code, f"{error.code}: {error}"
        if self.where is not ANY:
            assert error.where == self.where, error
        if self.value is not ANY:
            assert error.value == self.value, error
        self._check_mentions(str(error))

    def check_printed(self, text: str) -> None:
        """Asserts that the command line printed the named error, in one line."""
        assert text.startswith("error: ") and text.count("\n") == 1, text
        assert text.endswith(f" [{self.code}]\n"), text
        line = text.removeprefix("error: ").removesuffix(f" [{self.code}]\n")
        if self.where is not ANY:
            assert line.startswith(f"{self.where}: " if self.where else ""), text
        if self.value not in (ANY, None):
            value = f": {self.value!r}"
            assert line.endswith(value) or f"{value} (" in line, text
        self._check_mentions(line)

    def _check_mentions(self, line: str) -> None:
        assert "\n" not in line
        for mention in [self.mentions] if isinstance(self.mentions, str) else self.mentions:
            assert mention in line, f"{mention!r} is not in: {line}"
