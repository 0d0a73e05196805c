"""`export`, `verify` and `predict` on a study that was run, and what bad input gets."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from little_files import write_files
from PIL import Image

from searchlab import open_study
from searchlab.cli.main import main
from searchlab.search.store import stored_study
from searchlab.study import RunOptions

pytestmark = pytest.mark.slow  # A study is trained for all of them.


@pytest.fixture(scope="module", autouse=True)
def short_timing():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("searchlab.deploy.bundle.latency.BUDGET_S", 0.1)
        yield


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    home = tmp_path_factory.mktemp("bundles")
    assert (
        main(["run", str(write_files(home)), "--output", str(home / "runs"), "--trials", "2", "--device", "cpu"]) == 0
    )
    return home / "runs"


@pytest.fixture(scope="module")
def bundle(output):
    folder = output.parent / "out"
    assert main(["export", "little", "--out", str(folder), "--output", str(output)]) == 0
    return folder


def card_of(folder):
    return json.loads((folder / "card.json").read_text())


def test_export_shows_what_it_wrote_and_the_next_command(look, bundle, output):
    out = look("export", "little", "--point", "knee", "--out", bundle).out
    for text in (str(bundle), "accuracy (validation)", "model.onnx", "uint8", f"searchlab verify {bundle} --output"):
        assert text in out
    card = look("export", "little", "--out", bundle, "--json").json
    assert card["folder"] == str(bundle) and card["point"] == card_of(bundle)["point"]


def test_points_are_chosen_by_name_number_and_limits(look, output, tmp_path):
    front = look("front", "little", "--json", "--points", 99).json["points"]
    chosen = {
        "best": ["--point", "best"],
        "cheapest": ["--point", "cheapest"],
        "number": ["--point", front[1]["point"]],
        "limit": ["--min-accuracy", front[-2]["accuracy"]["value"]],
    }
    found = {
        name: look("export", "little", "--out", tmp_path / name, *given, "--json").json
        for name, given in chosen.items()
    }
    accuracy = {name: card["point"]["correct"] / card["point"]["samples"] for name, card in found.items()}
    assert accuracy["best"] == front[0]["accuracy"]["value"]
    assert accuracy["cheapest"] == front[-1]["accuracy"]["value"]
    assert accuracy["number"] == front[1]["accuracy"]["value"] and found["number"]["trial"] == front[1]["trial"]
    assert accuracy["limit"] >= front[-2]["accuracy"]["value"]


def test_the_command_of_the_card_makes_the_same_export(look, bundle, tmp_path):
    card = card_of(bundle)
    words = card["command"].split()
    assert words[:2] == ["searchlab", "export"] and words[-2:] == ["--out", bundle.name]
    again = look(*words[1:-1], tmp_path / "again", "--json").json
    assert again["files"] == card["files"]


def test_verify_records_once_that_the_test_split_was_read(look, bundle, output):
    def looks():
        return stored_study("little", RunOptions(output=output)).looks()

    before = len(looks())
    out = look("verify", bundle).out
    assert "360 of 360" in out and "model.onnx" in out and "torch runtime" in out and "accuracy (test)" in out
    assert len(looks()) == before + 1
    payload = look("verify", bundle, "--json").json
    assert payload["holds"] and payload["images"] == 360 and payload["latency_ms"] > 0
    assert len(looks()) == before + 1
    (point,) = looks()[-1].test
    assert point.correct / point.samples == payload["test_accuracy"]["value"]


def test_verify_without_the_study_says_that_nothing_records_it(searchlab, bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "moved")
    answer = searchlab("verify", tmp_path / "moved", "--output", tmp_path / "nowhere")
    assert answer.code == 0 and "360 of 360" in answer.out
    assert "does not record that the test split was read" in answer.err


def test_a_changed_file_or_other_data_are_one_line(searchlab, bundle, output, tmp_path):
    shutil.copytree(bundle, tmp_path / "changed")
    (tmp_path / "changed" / "weights.safetensors").write_bytes(b"other")
    where = str(tmp_path / "changed" / "weights.safetensors")
    searchlab("verify", tmp_path / "changed", "--output", output).fails("export-differs", where=where)
    shutil.copytree(bundle, tmp_path / "others")
    card = card_of(bundle)
    card["data"]["hash"] = "0" * 16
    (tmp_path / "others" / "card.json").write_text(json.dumps(card))
    searchlab("verify", tmp_path / "others", "--output", output).fails("data-differ", mentions="0" * 16)
    searchlab("verify", tmp_path / "none").fails("path-not-found", value=str(tmp_path / "none"))


def test_points_that_do_not_exist_are_one_line(searchlab, output, tmp_path):
    def export(*given):
        return searchlab("export", "little", "--out", tmp_path / "out", "--output", output, *given)

    export("--point", "999").fails("unknown-point", value=999)
    export("--point", "finest").fails("unknown-point", where="--point", value="finest", mentions="knee")
    export("--point", "1:999").fails("unknown-point", value="1:999", mentions="1:1 to 1:")
    export("--point", "77:1").fails("unknown-trial", value=77)
    export("--min-accuracy", "0.999").fails("no-results", mentions="the nearest is")
    export("--point", "best", "--min-accuracy", "0.5").fails("conflicting-options", where="--point")
    export("--pixels", "int4").fails("invalid-usage", where="--pixels", value="int4")
    assert not (tmp_path / "out").exists()
    searchlab("export", "little", "--output", output).fails("invalid-usage", mentions="--out")


def test_predict_prints_a_table_json_lines_and_a_csv(searchlab, bundle, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for shade in (0, 120, 240):
        Image.fromarray(np.full((9, 12, 3), shade, np.uint8)).save(pictures / f"{shade}.jpg")
    answer = searchlab("predict", bundle, pictures, "--csv", tmp_path / "found.csv")
    assert answer.code == 0 and "confidence" in answer.out and str(pictures / "120.jpg") in answer.out
    lines = [json.loads(line) for line in searchlab("predict", bundle, pictures, "--json").out.splitlines()]
    assert [Path(line["image"]).name for line in lines] == ["0.jpg", "120.jpg", "240.jpg"]
    assert {"class_name", "confidence", "score", "exit", "ms"} <= lines[0].keys()
    assert len((tmp_path / "found.csv").read_text().splitlines()) == 4


def test_an_unreadable_image_is_one_line_after_the_others(searchlab, bundle, tmp_path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no image")
    answer = searchlab("predict", bundle, tmp_path)
    answer.fails("invalid-images", value=str(tmp_path / "b.png"))
    assert str(tmp_path / "a.png") in answer.out


def test_results_export_in_python(output, tmp_path):
    results = open_study("little", output=output)
    folder = results.export(tmp_path / "out", "best")
    assert folder == tmp_path / "out" and (folder / "model.onnx").is_file()
    best = results.best()
    assert card_of(folder)["point"]["correct"] == round(best.accuracy * 360)
    mine = best.export(tmp_path / "mine", pixels="float32")
    assert card_of(mine)["input"] == "float32"


def test_an_export_to_the_working_folder_has_a_command_that_works(look, output, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    look("export", "little", "--out", ".")
    assert card_of(Path())["command"].endswith("--out here")
