"""Every code that the source raises is registered, and every registered code is raised."""

import ast
import re
from pathlib import Path

import pytest

from searchlab.error_codes import CODES

SOURCE = Path(__file__).parents[1] / "searchlab"
RAISED = ("UserError", "RunError", "TrialFailure", "MissingFiles", "DefinitionChanged")
MOST = 100
"""A code names a fault, not a place: a list that nobody can read helps nobody."""


def codes_in(text):
    """The codes that a file's errors carry. One that is not written there as text is not seen."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            written = [each.value for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant)]
            if node.func.id in RAISED:
                found |= {value for value in written if isinstance(value, str)}
            if node.func.id == "unknown":
                found |= {f"unknown-{kind.partition(' or ')[0].replace(' ', '-')}" for kind in written}
    return found


def raised():
    found = {code for path in SOURCE.rglob("*.py") for code in codes_in(path.read_text())}
    # `from_validation` and `catalog.find` choose among these.
    return found | {"invalid-field", "missing-field", "unknown-field", "unknown-space"}


def test_every_code_in_the_source_is_registered_and_every_registered_code_is_used():
    assert raised() == set(CODES)
    assert len(CODES) <= MOST


def test_an_unregistered_code_would_be_found():
    assert codes_in('raise UserError("made-up", f"x {1}")\nraise unknown("odd kind", 3)') == {
        "made-up",
        "unknown-odd-kind",
    }


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_kebab_case_and_documented_in_two_sentences(code):
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
    for sentence in CODES[code]:
        assert re.fullmatch(r"[A-Zst`].*\.", sentence) and "\n" not in sentence


def test_a_code_names_one_fault():
    assert len({code.meaning for code in CODES.values()}) == len(CODES)
