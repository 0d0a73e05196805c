import subprocess
import sys

import pytest
from PIL import Image
from raises import raises_code
from shipments import as_images, data_of, shipment_of

from searchlab.deploy.bundle.card import read_card
from searchlab.deploy.bundle.export import export
from searchlab.deploy.bundle.model_file import ModelFile
from searchlab.deploy.bundle.predict import FilePrediction, images_in, predictions
from searchlab.errors import UserError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    home = tmp_path_factory.mktemp("predict")
    export(shipment_of("plain", home), home / "out")
    (home / "images" / "more").mkdir(parents=True)
    for number, image in enumerate(as_images(data_of("plain"), 6)):
        Image.fromarray(image).save(home / "images" / ("more" if number > 3 else "") / f"{number}.png")
    (home / "images" / "notes.txt").write_text("no image")
    return home


def test_files_and_folders_are_classified_as_the_file_does(bundle):
    card, files = read_card(bundle / "out"), images_in([bundle / "images", bundle / "images" / "0.png"])
    assert [file.stem for file in files] == ["0", "1", "2", "3", "4", "5", "0"]
    found = list(predictions(bundle / "out", card, files))
    answers = ModelFile(bundle / "out" / "model.onnx").answers(data_of("plain").test.images_NCHW[:6].numpy())
    assert [each.class_index for each in found[:6]] == answers.class_N.tolist()
    assert [each.exit for each in found[:6]] == answers.exit_N.tolist()
    for each in found:
        assert isinstance(each, FilePrediction)
        assert each.class_name == card.data.class_names[each.class_index]
        assert (each.score is None) == (each.after_stage == "final") and 0 < each.confidence <= 1 and each.ms > 0


def test_an_unreadable_image_does_not_hide_the_others(bundle, tmp_path):
    (tmp_path / "bad.png").write_text("no pixels")
    card, files = (
        read_card(bundle / "out"),
        [bundle / "images" / "0.png", tmp_path / "bad.png", bundle / "images" / "1.png"],
    )
    first, bad, last = predictions(bundle / "out", card, files)
    assert isinstance(first, FilePrediction) and isinstance(last, FilePrediction) and isinstance(bad, UserError)
    assert bad.code == "invalid-images" and bad.value == str(tmp_path / "bad.png")


def test_images_that_are_not_there_are_one_line(tmp_path):
    with raises_code("path-not-found", value=str(tmp_path / "none.png")):
        images_in([tmp_path / "none.png"])
    (tmp_path / "empty").mkdir()
    with raises_code("invalid-images", value=str(tmp_path / "empty"), mentions=".png"):
        images_in([tmp_path / "empty"])


@pytest.mark.slow
def test_predict_loads_no_torch(bundle):
    code = "import sys, searchlab.cli.predicting; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "sklearn", "optuna", "ray", "pandas"} & set(done.stdout.split())
