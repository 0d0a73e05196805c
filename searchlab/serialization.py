"""Serialization: nouns to plain data and JSON, and back.

Nouns are pydantic dataclasses: frozen, checked where they are made, and read back with the same checks.
"""

import hashlib
import json
from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError

from searchlab.errors import from_validation

NOUN = ConfigDict(extra="forbid", ser_json_inf_nan="constants", validate_default=True)
"""Configuration of every noun: unknown fields are refused, infinities survive JSON."""

T = TypeVar("T")


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(type[Any], kind))


def to_plain(noun: object) -> Any:
    """Converts a noun to dicts, lists, numbers and strings for `json.dumps` (infinity as "inf" text)."""
    return json.loads(to_json(noun))


def to_json(noun: object) -> str:
    """Converts a noun to one line of JSON. Infinite numbers become `Infinity`, which Python's json reads."""
    return _adapter(cast(Hashable, type(noun))).dump_json(noun).decode()


def from_plain(kind: type[T], data: Any, *, where: str = "") -> T:
    """Makes a `kind` from `to_plain`'s output.

    Raises:
        UserError: the data is not a valid `kind`; `where` names the file it came from.
    """
    try:
        return cast(T, _adapter(cast(Hashable, kind)).validate_python(data))
    except ValidationError as error:
        raise from_validation(error, where or kind.__name__) from error


def stable_id(noun: object) -> str:
    """Returns ten hex digits of the content, the same in every process and version of Python."""
    canonical = json.dumps(to_plain(noun), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2s(canonical.encode(), digest_size=5).hexdigest()
