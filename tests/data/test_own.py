import pytest
from raises import raises_code

from searchlab.data.datasets import image_spec, load
from searchlab.data.shared import OnNode
from searchlab.user_file import read_file

OWN = """from pathlib import Path
from searchlab.data.datasets import synthetic_images
from searchlab.data.splits import Split, assemble, three_way

NAMES = ("a", "b", "c", "d")

def dataset(root: Path, download: bool):
    parts = list(three_way(synthetic_images(200, seed=1), NAMES))
    {change}
    return {returned}
"""
WHOLE = 'assemble("mine", parts, NAMES)'


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes `pets.py` and loads it."""
    monkeypatch.chdir(tmp_path)

    def made(change="", returned=WHOLE):
        (tmp_path / "pets.py").write_text(OWN.format(change=change, returned=returned))
        return load("./pets.py", tmp_path)

    return made


def test_a_data_set_in_a_file_of_ones_own(own, tmp_path):
    dataset = own()
    assert dataset.name == "./pets.py" and len(dataset.train) == 120
    assert image_spec("./pets.py", tmp_path) == dataset.spec


def test_every_process_of_a_cluster_makes_it_from_the_text_without_the_file(own, tmp_path):
    dataset = own()
    files = (read_file("./pets.py", tmp_path / "pets.py"),)
    (tmp_path / "pets.py").unlink()
    there = OnNode("./pets.py", tmp_path / "no root", None, dataset.hash, files)
    assert there.dataset().hash == dataset.hash


@pytest.mark.parametrize(
    ("change", "returned", "refused"),
    [
        ("", "parts", raises_code("wrong-return-type", where="pets.py", value="list")),
        ("1 / 0", WHOLE, raises_code("user-code-raised", where="pets.py:9", mentions="ZeroDivisionError")),
        (
            "",
            "Split(parts[0].images_NCHW.float(), parts[0].labels_N)",
            raises_code("user-code-raised", where="pets.py:10", mentions="torch.uint8"),
        ),
        (
            "parts[2] = Split(parts[2].images_NCHW[:0], parts[2].labels_N[:0])",
            WHOLE,
            raises_code("invalid-data-set", where="pets.py", mentions="test split"),
        ),
        (
            "parts[1] = Split(parts[1].images_NCHW[..., 1:], parts[1].labels_N)",
            WHOLE,
            raises_code("invalid-data-set", where="pets.py", value="3x16x15", mentions="validation split"),
        ),
        (
            "parts[0].labels_N[3] = 4",
            WHOLE,
            raises_code("invalid-data-set", where="pets.py", value=4, mentions=["train split", "0 to 3"]),
        ),
        (
            "parts[1].labels_N[3] = -1",
            WHOLE,
            raises_code("invalid-data-set", where="pets.py", value=-1, mentions="validation split"),
        ),
        ("root.nothing()", WHOLE, raises_code("user-code-raised", where="pets.py:9", mentions="AttributeError")),
    ],
)
def test_what_is_wrong_with_it_is_one_line(own, change, returned, refused):
    with refused as raised:
        own(change, returned)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_absent_or_has_no_function(tmp_path):
    with raises_code("path-not-found", value="nowhere.py"):
        load("nowhere.py", tmp_path)
    (tmp_path / "empty.py").touch()
    with raises_code("missing-function", mentions="empty.py"):
        load(str(tmp_path / "empty.py"), tmp_path)
