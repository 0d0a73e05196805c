"""Files of the user's: run from their text, and every fault in one line with its place."""

from pathlib import Path

import pytest
from raises import raises_code

from searchlab.errors import Interrupted, UserError
from searchlab.serialization import from_plain, to_plain
from searchlab.user_file import UserFile, blamed, file_named, function_of, read_file


def test_a_file_runs_from_its_text_where_it_does_not_lie():
    file = UserFile("./mine.py", "/away/mine.py", "from pathlib import Path\ndef made(): return Path(__file__).parent")
    again = from_plain(UserFile, to_plain(file))
    assert again == file and again.stem == "mine"
    assert function_of(again, "made")() == Path("/away")


def test_dataclasses_in_a_file_find_their_types():
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    text += "@dataclass\nclass A:\n    b: int\nmade = A"
    assert function_of(UserFile("a.py", "a.py", text), "made")(3).b == 3


@pytest.mark.parametrize(
    ("text", "code", "line", "mentions"),
    [
        ("x = 1\n\n1 / 0", "user-code-raised", ":3", "ZeroDivisionError: division by zero"),
        ("import nowhere_at_all", "user-code-raised", ":1", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("\ndef made(:", "invalid-python", ":2", "'def made(:'"),
        ("\0", "invalid-python", ":1", ()),
        ("made = 3", "missing-function", "", "made()"),
        ("assert 1 == 2", "user-code-raised", ":1", "AssertionError"),
        ("raise ValueError", "user-code-raised", ":1", "ValueError: no message"),
        ("raise SystemExit(3)", "user-code-raised", ":1", "SystemExit: 3"),
        ("raise ValueError('one\\ntwo')", "user-code-raised", ":1", "ValueError: one two"),
    ],
)
def test_a_fault_of_a_file_is_one_line_with_its_line_number(text, code, line, mentions):
    with raises_code(code, where=f"/away/mine.py{line}", mentions=mentions):
        function_of(UserFile("./mine.py", "/away/mine.py", text), "made")


def test_what_a_library_raises_names_the_line_of_the_file_that_called_it():
    file = UserFile("mine.py", "/away/mine.py", "import json\n\ndef made():\n    return json.loads('{')")
    with (
        raises_code("user-code-raised", where="/away/mine.py:4", mentions="JSONDecodeError"),
        blamed(file, "made()"),
    ):
        function_of(file, "made")()


@pytest.mark.parametrize(
    "error", [UserError("no-gates", "said"), Interrupted(), KeyError("passes"), KeyboardInterrupt()]
)
def test_errors_of_searchlab_and_those_that_pass_stay_as_they_are(error):
    file = UserFile("mine.py", "mine.py", "")
    with pytest.raises(type(error)) as raised, blamed(file, passing=(KeyError,)):
        raise error
    assert raised.value is error


def test_an_encoding_that_the_file_names_is_read(tmp_path):
    path = tmp_path / "mine.py"
    path.write_bytes("# -*- coding: latin-1 -*-\ndef made(): return 'Größe'".encode("latin-1"))
    assert function_of(read_file("mine.py", path), "made")() == "Größe"
    path.write_bytes("made = 'Größe'".encode("latin-1"))
    with raises_code("invalid-encoding", mentions="mine.py:1"):
        read_file("mine.py", path)
    path.write_bytes(b"\xef\xbb\xbfdef made(): return 1")
    assert function_of(read_file("mine.py", path), "made")() == 1


def test_a_file_is_found_among_those_stored_first_and_beside_the_file_that_names_it(tmp_path):
    (tmp_path / "mine.py").write_text("there")
    stored = UserFile("./mine.py", "/away/mine.py", "stored")
    assert file_named("score", "./mine.py", [stored], beside=tmp_path / "study.py") is stored
    assert file_named("score", "./mine.py", beside=tmp_path / "study.py").text == "there"
    with raises_code("path-not-found", mentions="other.py"):
        file_named("score", "./other.py", [stored], beside=tmp_path / "study.py")
    (tmp_path / "folder.py").mkdir()
    with raises_code("path-not-found"):
        file_named("score", "folder.py", beside=tmp_path / "study.py")
