"""Attributes of any length in columns of 64 KiB, and what is said of damaged ones."""

import json

import pytest
from raises import raises_code

from searchlab.operating_point import ExitRule
from searchlab.search.attributes import LONGEST, read, read_noun, write
from searchlab.serialization import to_plain

MYSQL_TEXT = 65_535
"""Bytes in a TEXT column of MySQL."""


def written(value, attributes=None) -> dict:
    attributes = {} if attributes is None else attributes
    write(attributes.__setitem__, "record", value)
    return attributes


@pytest.mark.parametrize("text", ["a" * 300_000, '"' * 90_000, "\\" * 70_000, "é" * 30_000, "short"])
def test_no_attribute_is_too_long_for_mysql(text):
    value = {"text": text, "more": [1.5, None]}
    attributes = written(value)
    assert max(len(json.dumps(each).encode()) for each in attributes.values()) < MYSQL_TEXT
    assert read(attributes, "record", "trial 0") == value


def test_a_short_value_is_stored_as_it_is():
    assert written({"a": 1}) == {"record": {"a": 1}}


def test_a_process_that_dies_between_two_parts_leaves_the_value_of_before():
    attributes = written({"text": "a" * LONGEST})
    left = 2

    def dies(name, value):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        attributes[name] = value

    with pytest.raises(KeyboardInterrupt):
        write(dies, "record", {"text": "b" * 3 * LONGEST})
    assert read(attributes, "record", "trial 0") == {"text": "a" * LONGEST}


@pytest.mark.parametrize("harm", ["lost", "changed", "a number"])
def test_a_part_that_is_damaged_is_named_with_its_trial(harm):
    attributes = written({"text": "a" * LONGEST})
    part = next(name for name in attributes if name != "record")
    if harm == "lost":
        del attributes[part]
    else:
        attributes[part] = 5 if harm == "a number" else attributes[part][1:]
    with raises_code("store-damaged", where="trial 7, attribute 'record'"):
        read(attributes, "record", "trial 7")


@pytest.mark.parametrize("plain", [None, 3, [], {}, {"score": "margin"}, "text"])
def test_what_is_no_noun_is_named_with_its_trial_and_what_to_do(plain):
    with raises_code("store-damaged", where="trial 7, attribute 'rule'"):
        read_noun(ExitRule, {"rule": plain}, "rule", "trial 7")
    rule = ExitRule("margin", (0,), ())
    assert read_noun(ExitRule, {"rule": to_plain(rule)}, "rule", "trial 7") == rule
