from pathlib import Path

import pytest
from raises import raises_code

from searchlab.objective import OBJECTIVES
from searchlab.search.catalog import SourceFile, find, load_studies
from searchlab.search.static_reading import read_studies
from searchlab.study import Sketch

WRITTEN = '''"""On digits."""
from searchlab.objective import accuracy, macs as cost
from searchlab.study import Study

{first}DATA = "digits"

def study() -> Study:
    """One."""
    return Study("small_resnet", DATA, objectives=(accuracy, cost), max_params=300_000, epochs=+5, rungs=(1,))
'''


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(text: str):
    Path("mine.py").write_text(text)
    found = read_studies(SourceFile("mine", Path("mine.py")))
    assert not Path("executed").exists(), "reading runs nothing"
    return found


def test_a_study_that_is_written_out_is_read_as_running_it_would_give_it():
    (study,) = read(WRITTEN.format(first='open("executed", "w")\n'))
    assert (study.name, study.description, study.data) == ("mine", "On digits", "digits")
    assert study.objectives == (OBJECTIVES["accuracy"], OBJECTIVES["macs"])
    Path("mine.py").write_text(WRITTEN.format(first=""))
    assert (study,) == load_studies(SourceFile("mine", Path("mine.py")))


def test_several_that_are_written_out():
    text = "from searchlab.study import Study\ndef study(): return (Study('s', 'digits'), Study('s', data='mnist'))"
    assert [study.name for study in read(text)] == ["mine-digits", "mine-mnist"]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("def study():\n return Study('s', data=path(), epochs=3)", ({"space": "s", "epochs": 3},)),
        ("def study():\n return tuple(Study('s', d, seed=1) for d in X)", ({"space": "s", "seed": 1},)),
        ("def study():\n x = 1\n return Study('s', 'd')", ({"space": "s", "data": "d"},)),
        ("def study():\n return Study('s', 'd', **more)", ({"space": "s", "data": "d"},)),
        ("def study():\n return Study(*both)", ({},)),
        ("D = 'a'\nif here: D = 'b'\ndef study():\n return Study('s', D)", ({"space": "s"},)),
        ("def study():\n return made()", ()),
        ("@twice\ndef study():\n return Study('s', 'd')", ({"space": "s", "data": "d"},)),
        ("study = make", ()),
        ("from other import study", ()),
    ],
)
def test_computed_studies_are_listed_with_their_literal_fields(text, plain):
    assert read(f'"""Mine."""\n{text}\n') == Sketch("Mine", plain)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("x = 1", raises_code("missing-function", where="mine.py")),
        (
            "def study():\n\n return Study('s', 'd', epochs=0)",
            raises_code("invalid-field", where="mine.py:3", value=0, mentions="Study.epochs"),
        ),
        (
            "def study():\n return Study('s', 'd', epoch=1)",
            raises_code("unknown-field", where="mine.py:2", value=1, mentions="did you mean 'epochs'"),
        ),
        ("def study(:", raises_code("invalid-python", where="mine.py:1", value="def study(:")),
    ],
)
def test_an_invalid_field_is_named_with_its_line(text, refused):
    with refused:
        read(text)


@pytest.mark.parametrize("name", ["digits", "cifar10_small", "everything"])
def test_the_studies_that_searchlab_brings_read_as_they_run(name):
    source = find("study", name)
    assert source.is_brought
    found = read_studies(source)
    assert isinstance(found, Sketch) or found == load_studies(source)
