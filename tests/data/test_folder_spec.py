import pytest
from raises import raises_code

from searchlab.data.folder_spec import FolderSpec, anywhere, parse_folder, with_size


@pytest.mark.parametrize(
    ("data", "place", "size"),
    [
        ("folder:pets", "pets", None),
        ("folder:pets?size=96", "pets", 96),
        ("folder:what?/pets", "what?/pets", None),
        ("folder:a?size=8/pets", "a?size=8/pets", None),
        ("folder:pets?size=32?size=96", "pets?size=32", 96),
        ("folder:s3://bucket/pets?size=96", "s3://bucket/pets", 96),
        ("folder:s3://bucket/pets?region=eu-1&size=96", "s3://bucket/pets?region=eu-1", 96),
        ("folder:s3://bucket/pets?size=96&region=eu-1", "s3://bucket/pets?region=eu-1", 96),
        ("folder:s3://bucket/pets?region=eu-1", "s3://bucket/pets?region=eu-1", None),
    ],
)
def test_a_size_is_told_from_a_path_and_from_a_query(data, place, size):
    assert parse_folder(data) == FolderSpec(place, size)
    assert parse_folder(data).pixels == (size or 32)


@pytest.mark.parametrize("size", ["", "0", "7", "1025", "96px", "-96", "9²", "9" * 5000])
def test_an_invalid_size_is_one_line(size):
    for place in ("pets", "s3://bucket/pets"):
        with raises_code("invalid-data-spec", where="data", mentions="folder:PATH?size=N, N from 8 to 1024"):
            parse_folder(f"folder:{place}?size={size}")


@pytest.mark.parametrize("data", ["folder:", "folder:?size=96"])
def test_a_folder_must_be_named(data):
    with raises_code("invalid-data-spec", where="data"):
        parse_folder(data)


def test_two_sizes_of_a_url_are_refused():
    with raises_code("invalid-data-spec", where="data", value="folder:s3://bucket/pets?size=96&size=32"):
        parse_folder("folder:s3://bucket/pets?size=96&size=32")


def test_a_path_that_is_not_utf_8_is_one_line():
    with raises_code("invalid-encoding", where="data") as raised:
        parse_folder("folder:caf\udce9")
    assert str(raised.value).isascii()


@pytest.mark.parametrize(
    ("data", "size", "whole"),
    [
        ("digits", None, "digits"),
        ("folder:pets", None, "folder:pets"),
        ("folder:pets", 96, "folder:pets?size=96"),
        ("folder:pets?size=96", 96, "folder:pets?size=96"),
        ("folder:s3://bucket/pets?region=eu-1", 96, "folder:s3://bucket/pets?region=eu-1&size=96"),
    ],
)
def test_the_size_of_a_study_goes_into_the_name(data, size, whole):
    assert with_size(data, size) == whole


@pytest.mark.parametrize(
    ("data", "size", "refused"),
    [
        ("cifar10", 96, raises_code("invalid-data-spec", where="Study.image_size", value=96, mentions="cifar10")),
        (
            "folder:pets?size=64",
            96,
            raises_code("invalid-data-spec", where="Study.image_size", value=96, mentions="'folder:pets?size=64'"),
        ),
        ("folder:pets", 5000, raises_code("invalid-data-spec", where="Study.image_size", value=5000)),
    ],
)
def test_a_size_that_contradicts_is_refused(data, size, refused):
    with refused:
        with_size(data, size)


def test_other_processes_get_an_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert anywhere("folder:pets?size=96") == f"folder:{tmp_path}/pets?size=96"
    for data in ("digits", "folder:s3://bucket/pets"):
        assert anywhere(data) == data
