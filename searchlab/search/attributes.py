"""User attributes of a storage: values of any length, validated when read.

MySQL keeps an attribute in a TEXT column of 65,535 bytes, and Optuna's tables are the same in every database. So a long
value lies in several attributes, in all databases alike.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

from searchlab.errors import UserError
from searchlab.schema import upgraded, versioned
from searchlab.serialization import from_plain, to_plain

LONGEST = 60_000
"""Maximum characters of JSON in one attribute."""

PART = LONGEST // 2
"""Characters of a part: a part is a string of JSON within JSON, so that every quote in it takes two characters."""

PARTS, DIGEST = "parts", "digest"

PART_OF = "part "
"""Prefix of the names of attributes that hold parts."""

T = TypeVar("T")


def write(set_attribute: Callable[[str, Any], None], name: str, value: Any) -> None:
    """Sets an attribute; a long value as parts first, then under its name how many there are.

    If the process dies in between, the previous value stays.
    """
    text = json.dumps(value)
    if len(text) <= LONGEST:
        set_attribute(name, value)
        return
    parts, digest = [text[at : at + PART] for at in range(0, len(text), PART)], _digest(text)
    for index, part in enumerate(parts):
        set_attribute(_part(name, digest, index), part)
    set_attribute(name, {PARTS: len(parts), DIGEST: digest})


def read(attributes: Mapping[str, Any], name: str, where: str) -> Any:
    """Reads a value of `write`.

    Raises:
        UserError: a part is missing or damaged; `where` names the owner of the attribute.
    """
    value = attributes[name]
    if not isinstance(value, dict) or value.keys() != {PARTS, DIGEST}:
        return value
    try:
        text = "".join(attributes[_part(name, value[DIGEST], index)] for index in range(value[PARTS]))
    except (KeyError, TypeError) as error:
        raise damaged(where, name, "a part is missing") from error
    if _digest(text) != value[DIGEST]:
        raise damaged(where, name, "the checksum of a part differs")
    return json.loads(text)


def is_part(name: str) -> bool:
    """Whether an attribute holds a part of a long value, by its name."""
    return name.startswith(PART_OF)


def read_noun(kind: type[T], attributes: Mapping[str, Any], name: str, where: str) -> T:
    """Reads a noun from an attribute.

    Raises:
        UserError: it is damaged; `where` names the owner of the attribute.
    """
    plain = upgraded_to(kind, read(attributes, name, where), f"{where}, attribute {name!r}")
    try:
        return from_plain(kind, plain)
    except UserError as error:
        raise damaged(where, name, str(error)) from error


def upgraded_to(kind: type, plain: Any, where: str) -> Any:
    """Upgrades the stored form of a noun, or of a list of nouns, to its current fields.

    Raises:
        UserError: a newer searchlab wrote it.
    """
    if isinstance(plain, dict):
        return upgraded(kind.__name__, plain, where)
    if isinstance(plain, list) and get_args(kind):
        return [upgraded_to(get_args(kind)[0], each, where) for each in plain]
    return plain


def write_noun(set_attribute: Callable[[str, Any], None], name: str, noun: object) -> None:
    """Sets an attribute to a noun, with the version of its schema."""
    write(set_attribute, name, versioned(to_plain(noun)))


def damaged(where: str, name: str, why: str) -> UserError:
    """Makes the error for an attribute with invalid content."""
    short = why if len(why) <= 160 else f"{why[:160]} ..."
    allowed = "restore the store from a copy, or begin another study with --name NAME"
    return UserError(
        "store-damaged", f"damaged data in the store: {short}", where=f"{where}, attribute {name!r}", allowed=allowed
    )


def _part(name: str, digest: str, index: int) -> str:
    return f"{PART_OF}{index} {digest} of {name}"


def _digest(text: str) -> str:
    return hashlib.blake2s(text.encode(), digest_size=6).hexdigest()
