import linecache

import pytest
from raises import raises_code

from searchlab.candidate import Candidate
from searchlab.search import space_function as module
from searchlab.search.space_function import SpaceFunction, is_function_space, space_function

CELL = """
import math
from functools import partial
from searchlab.architecture import ResNet
from searchlab.candidate import Candidate, Exit

WIDTHS = (2, 8)  # both ends
UNUSED = object()

def wider(width):
    return wider(0) if width < 0 else math.ceil(width)

def plain(function):
    return function

@plain
def space(choose):
    return Candidate(ResNet((1, 1), wider(choose.suggest_int("width", *WIDTHS))), (Exit(0),))
"""


def cells(*texts: str, name: str = "cell") -> dict:
    """The names of a notebook whose cells ran one after the other, each known to linecache as IPython does it."""
    scope = {"__name__": "__main__"}
    for number, text in enumerate(texts):
        file = f"<{name} {number}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec"), scope)
    return scope


class Chooses:
    def suggest_int(self, name, low, high):
        return high


def again(found: SpaceFunction) -> Candidate:
    """What the kept source makes, in a process that does not have the function."""
    return SpaceFunction(found.name, found.text).load()(Chooses())


def test_the_source_of_a_cell_runs_again_with_what_it_uses_and_no_more():
    space = cells(CELL)["space"]
    found = space_function(space)
    assert (found.name, found.load()) == ("space()", space) and is_function_space(found.name)
    assert again(found) == space(Chooses())
    assert found.text.splitlines()[0].startswith("from searchlab") and "WIDTHS = (2, 8)" in found.text
    assert "UNUSED" not in found.text and "partial" not in found.text and "@plain" in found.text


def test_the_source_of_several_cells_and_of_a_closure_runs_again():
    first, second = CELL.split("@plain")
    late = "def made(low):\n    def inner(choose):\n        return space_of(choose, low)\n    return inner\n"
    scope = cells(first, f"@plain{second}", "def space_of(choose, low):\n    return space(choose)\n", late, name="part")
    inner = scope["made"](3)
    assert again(space_function(inner)) == inner(Chooses())


def test_a_space_that_searchlab_brings_can_be_given_as_a_function():
    assert "def space_function(" in space_function(module.space_function).text


@pytest.mark.parametrize("wrong", [lambda choose: 1, 3, Chooses()])
def test_what_has_no_source_of_its_own_is_one_line(wrong):
    with raises_code("invalid-space", where="Study.space"):
        space_function(wrong)


def test_a_function_whose_source_is_unknown_is_one_line():
    scope: dict = {"__name__": "__main__"}
    exec("def space(choose):\n    return 1\n", scope)
    with raises_code("invalid-space", where="space space()") as raised:
        space_function(scope["space"])
    assert "\n" not in str(raised.value)


def test_a_value_whose_source_is_unknown_is_named():
    scope = cells("def space(choose):\n    return thing\n", name="other")
    scope["thing"] = object()
    with raises_code("invalid-space", where="space space()", mentions="'thing'"):
        space_function(scope["space"])
