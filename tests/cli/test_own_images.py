"""A study on a folder of one's own pictures, from the command line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from searchlab.errors import Interrupted
from searchlab.record import Scales


@pytest.fixture
def pictures(folder):
    """Photos of 64x48 pixels in two classes, and a study of them."""
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (folder / "pets" / name).mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "pets" / name / f"{number}.png")
    text = (folder / "studies" / "little.py").read_text()
    assert '"digits"' in text

    def study(data, more=""):
        changed = text.replace('data="digits"', f'data="{data}"{more}')
        assert changed != text
        (folder / "studies" / "pets.py").write_text(changed)

    return study


@pytest.mark.slow
@pytest.mark.parametrize(("data", "more"), [("folder:pets?size=24", ""), ("folder:pets", ", image_size=24")])
def test_a_run_begins_with_what_its_images_are(pictures, searchlab, data, more):
    pictures(data, more)
    answer = searchlab("run", "pets", "--trials", 1, "--epochs", 1)
    assert (answer.code, answer.err) == (0, "")
    assert "data: 12 train / 4 validation / 4 test, 2 classes, 24x24, resized from 48..64" in answer.out
    assert "validation and test are held out" in answer.out
    shown = searchlab("show", 0, "pets", "--trial")
    assert "24x24, 3 channels, 2 classes" in shown.out
    spec = {"channels": 3, "height": 24, "width": 24, "classes": 2}
    assert searchlab("show", 1, "pets", "--json").json["images"] == spec
    page = searchlab("plot", "pets", "--json").json["html"]
    assert "24x24, 3 channels, 2 classes" in Path(page).read_text()
    again = searchlab("resume", "pets", "--trials", 2)
    assert (again.code, again.err) == (0, "") and "prepared images are kept" not in again.out


@pytest.mark.parametrize(("data", "more"), [("digits", ", image_size=24"), ("folder:pets?size=32", ", image_size=24")])
def test_a_size_that_cannot_be_is_one_line(pictures, searchlab, data, more):
    pictures(data, more)
    answer = searchlab("run", "pets", "--trials", 1)
    answer.fails("invalid-data-spec", where="Study.image_size")


def test_ctrl_c_before_the_study_began_promises_no_resume(pictures, searchlab, monkeypatch):
    def interrupted(*_):
        raise Interrupted

    pictures("folder:pets")
    monkeypatch.setattr("searchlab.data.folder.prepared", interrupted)
    answer = searchlab("run", "pets", "--trials", 1)
    assert answer.code == 130 and "resume" not in answer.out
    assert "Stopped before the study began: repeat the command to begin it." in answer.out


@pytest.mark.slow
def test_a_run_in_python_has_the_same_facts_of_its_images_as_the_command(searchlab, pictures, folder):
    import searchlab as python

    for file in folder.glob("pets/*/*.png"):
        Image.fromarray(np.full((9, 12), 90 * int(file.stem), np.uint16)).save(file)
    data, short = "folder:pets?size=8", {"trials": 1, "epochs": 1, "progress": False}
    assert searchlab("run", "little", "--data", data, "--trials", 1, "--epochs", 1).code == 0
    command = python.open_study("little-pets").records[0].data
    assert command.scales == Scales(integers=1023) and command.name == f"folder:{folder / 'pets'}?size=8"
    assert python.run("little", data=data, output="there", **short).records[0].data == command
    assert python.run("little", images="pets?size=8", output="elsewhere", **short).records[0].data == command
