"""`make quick` and `make test` are what CONTRIBUTING.md says: the same property tests, on fewer examples and on all."""

import re

import property_tests
import pytest
from hypothesis import settings
from pages import ROOT

COMMANDS = re.findall(r"^\t\$\(BIN\)/(pytest .*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.fixture
def profile():
    """Switches to another profile of Hypothesis for a test."""
    now = settings.get_current_profile_name()
    yield settings.load_profile
    settings.load_profile(now)


@pytest.mark.parametrize(("name", "expected"), [("full", (150, 6)), ("quick", (30, 5))])
def test_a_profile_decides_how_many_examples_are_tried(profile, name, expected):
    profile(name)
    assert tuple(property_tests.examples(count).max_examples for count in (150, 6)) == expected
    assert property_tests.examples(150).deadline is None, "a slow machine fails no test"


def test_only_make_quick_leaves_examples_out():
    with_profile = [command for command in COMMANDS if "--hypothesis-profile" in command]
    assert len(COMMANDS) == 3 and len(with_profile) == 1
    assert "not slow and not cluster" in with_profile[0] and "--hypothesis-profile=quick" in with_profile[0]
