"""`--data` and `--images`: what the user means works, or is refused in one line; options without their runner are."""

from pathlib import Path

import pytest
from PIL import Image
from raises import raises_code

from searchlab.data.datasets import EMBEDDED, synthetic_images
from searchlab.search.catalog import label_of
from searchlab.search.store import stored_study
from searchlab.session.data_options import images_of, root_of
from searchlab.study import RunOptions

FAST = ("--trials", 1, "--epochs", 1, "--objectives", "accuracy,macs")

WRONG = {
    "the root of data that need no files": (
        ["run", "little", "--data", "there"],
        raises_code("invalid-usage", where="--data", value="there"),
    ),
    "a root that is missing": (
        ["run", "files", "--data", "nowhere"],
        raises_code("path-not-found", where="--data", value="nowhere"),
    ),
    "a root that is a file": (
        ["run", "files", "--data", "file", "--download"],
        raises_code("path-not-found", where="--data", value="file"),
    ),
    "data and images": (
        ["run", "little", "--data", "folder:pets", "--images", "pets"],
        raises_code("conflicting-options", where="--data", value="folder:pets"),
    ),
    "images that are missing": (
        ["run", "little", "--images", "nowhere"],
        raises_code("path-not-found", where="--images", value="nowhere"),
    ),
    "data that are missing": (
        ["run", "little", "--data", "folder:nowhere"],
        raises_code("path-not-found", where="--data", value="folder:nowhere"),
    ),
    "a file that is missing": (
        ["run", "little", "--data", "nowhere.py"],
        raises_code("path-not-found", where="--data", value="nowhere.py"),
    ),
    "images in a file that is missing": (
        ["run", "little", "--images", "nowhere.py"],
        raises_code("path-not-found", where="--images", value="nowhere.py"),
    ),
    "no folder": (["run", "little", "--images", ""], raises_code("invalid-data-spec", where="data")),
    "a size that is none": (
        ["run", "little", "--images", "pets?size=big"],
        raises_code("invalid-data-spec", where="data", value="big"),
    ),
    "a space without images": (["run", "small_resnet"], raises_code("not-a-study", value="small_resnet")),
    "a space file without images": (
        ["run", "spaces/little_space.py"],
        raises_code("not-a-study", value="spaces/little_space.py"),
    ),
    "neither study nor space": (["run", "nope", "--images", "pets"], raises_code("unknown-study", value="nope")),
    "cores without a cluster": (
        ["run", "little", "--cpus-per-trial", 2],
        raises_code("conflicting-options", where="--cpus-per-trial", mentions="--runner"),
    ),
    "the default of cores": (
        ["run", "little", "--cpus-per-trial", 1],
        raises_code("conflicting-options", where="--cpus-per-trial", value=1.0, mentions="--runner"),
    ),
    "GPUs without a cluster": (
        ["run", "little", "--gpus-per-trial", 0],
        raises_code("conflicting-options", where="--gpus-per-trial", mentions="--runner"),
    ),
    "an address without a cluster": (
        ["run", "little", "--address", "auto"],
        raises_code("conflicting-options", where="--address", value="auto", mentions="--runner"),
    ),
    "retries without a cluster": (
        ["run", "little", "--max-failures", 3],
        raises_code("conflicting-options", where="--max-failures", value=3, mentions="--runner"),
    ),
    "a limit without a cluster": (
        ["run", "little", "--concurrent", 2],
        raises_code("conflicting-options", where="--concurrent", value=2, mentions="--runner"),
    ),
    "a storage path without a cluster": (
        ["run", "little", "--storage-path", "x"],
        raises_code("conflicting-options", where="--storage-path", value="x", mentions="--runner"),
    ),
    "a node without a cluster": (
        ["run", "little", "--latency-node", "x"],
        raises_code("conflicting-options", where="--latency-node", value="x", mentions="--runner"),
    ),
    "resume without a cluster": (
        ["resume", "little", "--concurrent", 2],
        raises_code("conflicting-options", where="--concurrent", value=2, mentions="--runner"),
    ),
}


@pytest.fixture
def pets(folder) -> Path:
    """A folder of pictures in colour, thirty of each of two kinds."""
    images = synthetic_images(60, seed=0)
    for number, image in enumerate(images.images_NCHW):
        path = folder / "pets" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    (folder / "there").mkdir()
    (folder / "file").touch()
    study = (folder / "studies/little.py").read_text()
    (folder / "studies/files.py").write_text(study.replace('"digits"', '"cifar10"'))
    (folder / "spaces/little_space.py").write_text((folder / "spaces/little.py").read_text())
    return folder / "pets"


def kept(name: str, output: str = "runs"):
    return stored_study(name, RunOptions(output=Path(output))).definition


def good(answer):
    assert (answer.code, answer.err) == (0, "")
    return answer


@pytest.mark.parametrize(("arguments", "refused"), WRONG.values(), ids=WRONG)
def test_what_is_not_meant_is_refused_in_one_line(searchlab, pets, arguments, refused):
    answer = searchlab(*arguments)
    assert answer.code == 2
    refused.check_printed(answer.err)
    assert not Path("runs/studies.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize("given", [("--images", "pets?size=16"), ("--data", "folder:pets?size=16")])
def test_a_study_on_ones_own_images_keeps_them_as_an_override(searchlab, pets, monkeypatch, given):
    assert "study little-pets: " in good(searchlab("run", "little", *given, *FAST)).out
    definition = kept("little-pets")
    assert definition.study.data == f"folder:{pets}?size=16" and definition.written.data == "digits"
    monkeypatch.chdir("there")
    good(searchlab("resume", "little-pets", "--trials", 2, "--output", "../runs"))
    good(searchlab("front", "little-pets", "--test", "--output", "../runs"))
    answer = searchlab("resume", "little-pets", "--data", "folder:pets", "--output", "../runs")
    answer.fails("invalid-usage", where="--data", value="folder:pets")


@pytest.mark.slow
def test_a_space_on_ones_own_images_needs_no_study_file(searchlab, pets, monkeypatch):
    good(searchlab("run", "small_resnet", "--images", "pets?size=16", *FAST, "--max-params", 9000))
    definition = kept("small_resnet-pets")
    written = definition.written
    assert (written.space, written.max_params, written.epochs) == ("small_resnet", 300_000, 30)
    assert (definition.study.max_params, definition.study.epochs, definition.path) == (9000, 1, "")
    monkeypatch.chdir("there")
    good(searchlab("resume", "small_resnet-pets", "--trials", 2, "--output", "../runs"))
    good(searchlab("front", "small_resnet-pets", "--test", "--output", "../runs"))


@pytest.mark.slow
@pytest.mark.parametrize("space", ["little_space", "spaces/little_space.py"])
def test_a_space_of_ones_own_is_found_again_from_elsewhere(searchlab, pets, monkeypatch, space):
    good(searchlab("run", space, "--images", "pets?size=8", *FAST, "--name", "mine"))
    monkeypatch.chdir("there")
    good(searchlab("resume", "mine", "--trials", 2, "--output", "../runs"))
    text = Path("../spaces/little_space.py").read_text()
    Path("../spaces/little_space.py").write_text(text.replace('"width", 2, 8', '"width", 2, 9'))
    answer = searchlab("resume", "mine", "--trials", 3, "--output", "../runs")
    assert answer.code == 2 and "--- space, stored" in answer.out


@pytest.mark.slow
def test_a_study_of_the_spaces_name_is_meant_before_the_space(searchlab, pets):
    good(searchlab("run", "little", "--images", "pets?size=8", *FAST))
    assert kept("little-pets").written.thresholds_per_exit == 11


@pytest.mark.slow
def test_what_is_written_among_the_images_would_become_a_class(searchlab, pets, monkeypatch):
    good(searchlab("run", "little", "--images", "pets?size=8", *FAST))
    monkeypatch.chdir(pets)
    for command in (("run", "small_resnet", "--images", ".."), ("resume",), ("front", "--test"), ("replicate",)):
        output = () if command[0] == "run" else ("--output", "../runs")
        answer = searchlab(*command, *output)
        answer.fails("folder-among-images", where="--data", value="data")
    good(searchlab("front", "--output", "../runs"))
    monkeypatch.chdir(pets.parent)
    answer = searchlab("run", "little", "--images", "pets", "--output", "pets/runs")
    answer.fails("folder-among-images", where="--output", value="pets/runs")
    assert sorted(path.name for path in pets.iterdir()) == ["cat", "dog"]


@pytest.mark.slow
def test_a_data_set_file_takes_the_place_of_a_studys_data(searchlab, pets):
    Path("own.py").write_text("from searchlab.data.datasets import synthetic as dataset")
    good(searchlab("run", "little", "--images", "own.py", *FAST))
    definition = kept("little-own")
    assert definition.study.data == str(Path("own.py").absolute()) and definition.written.files == ()
    assert [file.text for file in definition.study.files] == [Path("own.py").read_text()]
    good(searchlab("resume", "little-own", "--trials", 2))


def test_a_root_that_is_read_is_taken(tmp_path):
    class Reads:
        data = "cifar10"

    assert root_of(None, [Reads]) == Path("data")
    assert root_of(str(tmp_path), [Reads]) == tmp_path
    assert root_of(str(tmp_path / "new"), [Reads], download=True) == tmp_path / "new"
    assert root_of(str(tmp_path)) == tmp_path
    assert {"digits", "synthetic"} <= EMBEDDED
    with raises_code("invalid-usage", where="--data"):
        root_of(str(tmp_path), [type("Study", (), {"data": name}) for name in EMBEDDED])


def test_a_path_of_images_is_made_whole_and_a_url_stays(pets, monkeypatch):
    monkeypatch.chdir(pets)
    (pets.parent / "a?b").mkdir()
    assert images_of("../pets", None) == f"folder:{pets}"
    assert images_of("folder:../pets?size=96", None) == f"folder:{pets}?size=96"
    assert images_of(None, "folder:../a?b?size=96") == f"folder:{pets.parent}/a?b?size=96"
    assert images_of("s3://bucket/pets?size=96", None) == "folder:s3://bucket/pets?size=96"
    assert images_of(None, "some/root") is images_of(None, None) is None


@pytest.mark.parametrize(
    ("data", "label"),
    [
        ("folder:/a/My pets?size=96", "My-pets"),
        ("folder:s3://bucket/pets/?size=96", "pets"),
        ("folder:/", "images"),
        ("./sub/own.py", "own"),
        ("digits", "digits"),
    ],
)
def test_a_study_is_named_after_the_folder_of_its_images(data, label):
    assert label_of(data) == label
