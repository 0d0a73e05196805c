"""A study of a folder whose images have changed since: nothing reads it as if they had not."""

import shutil

import numpy as np
import pytest
from PIL import Image

from searchlab.search.store import stored_study
from searchlab.study import RunOptions

pytestmark = pytest.mark.slow  # Each begins a study of its own.


def write_images(folder, seed: int, images: int = 12):
    for label, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(images):
            pixels = np.random.default_rng(1000 * seed + 100 * label + number).integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03d}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, request):
    """A folder in which a study of images was run: `trained/imgs` has train and test folders."""
    return tmp_path_factory.mktemp("images")


@pytest.fixture
def study_of_images(folder, searchlab, trained):
    """The study `little` on `folder:imgs`, as it was run once for all tests here."""
    study = folder / "studies" / "little.py"
    study.write_text(study.read_text().replace('"digits"', '"folder:imgs"').replace("epochs=2", "epochs=1"))
    if not (trained / "runs").exists():
        write_images(folder / "imgs" / "train", 0)
        write_images(folder / "imgs" / "test", 1)
        assert searchlab("run", "little", "--trials", 1).code == 0
        shutil.copytree(folder / "runs", trained / "runs")
        shutil.copytree(folder / "imgs", trained / "imgs")
    else:
        shutil.copytree(trained / "runs", folder / "runs")
        shutil.copytree(trained / "imgs", folder / "imgs")
    return folder


COMMANDS = (("front", "little", "--test"), ("replicate", "little"), ("resume", "little", "--trials", 2))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("part", ["train", "test"])
def test_images_that_were_added_are_refused_whichever_split_they_are_in(study_of_images, searchlab, command, part):
    write_images(study_of_images / "imgs" / part, 2, images=13)
    answer = searchlab(*command)
    answer.fails("data-differ", mentions="folder:imgs: ")
    assert "Measuring" not in answer.out
    store = stored_study("little", RunOptions(output=study_of_images / "runs"))
    assert store.looks() == [] and len(store.records()) == 1


def test_the_same_images_are_looked_at(study_of_images, searchlab):
    assert "(test)" in searchlab("front", "little", "--test").out
