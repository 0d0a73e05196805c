import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from raises import raises_code
from shipments import as_images, data_of, shipment_of

from searchlab.deploy.bundle.card import check_files, read_card
from searchlab.deploy.bundle.export import export
from searchlab.deploy.bundle.model_file import ModelFile
from searchlab.deploy.bundle.readme import loading_lines
from searchlab.exits.scores import GATE
from searchlab.operating_point import share_estimate


@pytest.fixture
def bundle(tmp_path):
    """The exported folder and its card."""
    folder = tmp_path / "out" / "digits"
    return folder, export(shipment_of("plain", tmp_path), folder)


def test_an_export_has_a_model_file_its_segments_weights_and_a_card_that_fits_them(bundle):
    folder, card = bundle
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    segments = {f"staged/leg_{place}.onnx" for place in range(3)}
    assert names == {"model.onnx", "weights.safetensors", "card.json", "README.md"} | segments
    assert card.files.keys() == names - {"card.json", "README.md"}
    assert read_card(folder) == card
    check_files(folder, card)
    assert [each.after_stage for each in card.exits] == ["1", "2", "final"]
    assert [each.threshold for each in card.exits] == [*card.point.rule.thresholds, None]
    assert card.seed == 7 and card.data.hash == data_of("plain").hash and "onnxruntime" in card.versions
    assert (folder / "model.onnx").stat().st_size < 2.5 * (folder / "weights.safetensors").stat().st_size


def test_gates_have_heads_of_their_own_in_the_staged_form(tmp_path):
    card = export(shipment_of("gated", tmp_path, GATE), tmp_path / "out")
    assert {"staged/head_0.onnx", "staged/head_1.onnx", "staged/leg_2.onnx"} <= card.files.keys()


def test_a_folder_with_another_model_or_other_files_is_left_alone(bundle, tmp_path):
    folder, card = bundle
    shipment = shipment_of("plain", tmp_path, "entropy")
    with raises_code("export-exists", where="--out", mentions=("trial 3", "tiny")):
        export(shipment, folder)
    assert read_card(folder) == card
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("two years")
    with raises_code("export-exists", where="--out", value=str(other), mentions="thesis.tex"):
        export(shipment, other)
    with raises_code("export-exists", where="--out"):
        export(shipment, other / "thesis.tex")
    assert (other / "thesis.tex").read_text() == "two years"


@pytest.mark.slow
def test_the_same_point_is_exported_again_over_itself_and_over_an_export_that_was_killed(bundle, tmp_path):
    folder, card = bundle
    shipment = shipment_of("plain", tmp_path)
    assert export(shipment, folder).files == card.files
    (folder / "card.json").unlink()
    (folder / "staged" / "leg_7.onnx").write_text("half")
    with raises_code("path-not-found", mentions="card.json"):
        read_card(folder)
    assert export(shipment, folder).files == card.files
    assert not (folder / "staged" / "leg_7.onnx").exists()


def test_a_card_that_does_not_fit_its_files_is_one_line(bundle):
    folder, card = bundle
    model = onnx.load(folder / "model.onnx")
    model.producer_name = "someone"
    onnx.save(model, folder / "model.onnx")
    with raises_code("export-differs", where=str(folder / "model.onnx"), mentions="export again"):
        check_files(folder, card)
    (folder / "model.onnx").unlink()
    with raises_code("path-not-found", where=str(folder / "model.onnx")):
        check_files(folder, card)
    (folder / "card.json").write_text("{")
    with raises_code("artefact-unreadable", where=str(folder / "card.json")):
        read_card(folder)
    (folder / "card.json").write_text(json.dumps({"schema": 99}))
    with raises_code("store-newer", where=str(folder / "card.json")):
        read_card(folder)
    with raises_code("path-not-found", value=str(folder / "none")):
        read_card(folder / "none")


def test_a_file_that_is_no_model_is_one_line(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with raises_code("unsupported-network", where=str(tmp_path / "model.onnx")):
        ModelFile(tmp_path / "model.onnx")


@pytest.mark.slow
def test_the_accuracy_of_the_int8_file_is_measured(tmp_path):
    data = data_of("plain")
    card = export(shipment_of("plain", tmp_path, calibration=data), tmp_path / "out")
    nodes = {node.op_type for node in onnx.load(tmp_path / "out" / "model.int8.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= nodes
    found = ModelFile(tmp_path / "out" / "model.int8.onnx").answers(data.validation.images_NCHW.numpy())
    right = int((found.class_N == data.validation.labels_N.numpy()).sum())
    assert card.int8.accuracy == share_estimate(right, len(data.validation))
    assert card.int8.shares == tuple(float((found.exit_N == exit).mean()) for exit in card.point.rule.exits)
    assert 0.5 < card.int8.agree <= 1
    assert "model.int8.onnx" in (tmp_path / "out" / "README.md").read_text()


ALONE = ("numpy", "onnxruntime", "PIL")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "uint8"), [("gated", True), ("hard, generalist", False), ("torchvision", True)])
def test_the_lines_of_the_readme_run_where_there_are_onnxruntime_numpy_and_pillow_alone(name, uint8, tmp_path):
    site, folder = tmp_path / "site", tmp_path / "out"
    site.mkdir()
    for package in ALONE:
        place = Path(find_spec(package).origin).parent
        for path in (place, place.parent / f"{package}.libs", place.parent / "pillow.libs"):
            if path.exists() and not (site / path.name).exists():
                (site / path.name).symlink_to(path)
    card = export(shipment_of(name, tmp_path, uint8=uint8), folder)
    lines = loading_lines(card)
    assert lines.strip() in (folder / "README.md").read_text() and len(lines.splitlines()) == 10
    image = as_images(data_of(name), 1)[0]
    Image.fromarray(image).save(folder / "image.png")
    refused = "import sys\ntry:\n    import torch\nexcept ImportError:\n    pass\nelse:\n    sys.exit('not alone')\n"
    command = [sys.executable, "-S", "-c", refused + lines]
    done = subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(site)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pixels = image.reshape(*image.shape[:2], -1).transpose(2, 0, 1)[None]
    answers = ModelFile(folder / "model.onnx").answers(pixels if uint8 else pixels.astype(np.float32) / 255)
    said = done.stdout.split()
    assert said[0] == card.data.class_names[answers.class_N[0]] and said[-1] == str(answers.exit_N[0])
