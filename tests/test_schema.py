"""Schema versions: older dicts get today's fields, newer ones are refused."""

import pytest
from raises import raises_code

from searchlab.schema import SCHEMA, divided, upgraded, version_of, versioned


def test_a_newer_version_is_refused_in_a_line_that_says_what_to_do():
    with raises_code("store-newer", where="runs/studies.db: study a", mentions="update searchlab"):
        upgraded("Study", {"schema": SCHEMA + 1, "space": "s"}, "runs/studies.db: study a")


@pytest.mark.parametrize("version", ["1", -1, True, None, 0.5])
def test_what_is_no_version_is_refused(version):
    with raises_code("store-damaged", where="here"):
        version_of({"schema": version}, "here")


def test_todays_dicts_stay_as_they_are():
    plain = {"space": "s", "enqueue": {"a": {"levels": 3}}}
    assert upgraded("Study", versioned(plain), "") == plain


def test_a_study_of_before_is_upgraded():
    old = {"levels": 5, "table": "paper_x", "enqueue": [{"levels": 2}, {"levels": 3}], "rows": ["a", "b"]}
    new = {"thresholds_per_exit": 5, "paper": "paper_x", "enqueue": {"a": {"levels": 2}, "b": {"levels": 3}}}
    assert upgraded("Study", old, "") == new
    unnamed = upgraded("Definition", {"study": old | {"rows": []}, "written": None}, "")
    assert list(unnamed["study"]["enqueue"]) == ["#1", "#2"]


@pytest.mark.parametrize(
    ("directory", "found"),
    [
        ("/a/runs/digits/trial-00003", ("/a/runs", "digits/trial-00003")),
        ("/runs/d/replicates/trial-00003-seed-1", ("/runs", "d/replicates/trial-00003-seed-1")),
        ("/x/replicates/trial-00001", ("/x", "replicates/trial-00001")),
    ],
)
def test_a_folder_is_an_output_and_a_path_below_it(directory, found):
    assert divided(directory) == found
