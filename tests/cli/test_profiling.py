import json
from pathlib import Path

import pytest
from little_files import STUDY
from matplotlib.image import imread
from profiled import fake_measure, made_study

from searchlab.cli.main import main
from searchlab.search.store import stored_study
from searchlab.study import RunOptions

ARGUMENTS = ("--device", "cpu", "--threads", 1)


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Where the study `tiny` was run with trials that are made up, and has profiles `torch` and `other`."""
    runs = tmp_path_factory.mktemp("profiling") / "runs"
    store, _ = made_study(runs)
    with pytest.MonkeyPatch.context() as patch:
        fake = fake_measure(patch, store)
        for name in ("torch", "other"):
            fake.ms_per_macs *= 2
            command = ["profile", "tiny", "--engine", "torch", "--threads", "1", "--device", "cpu", "--name", name]
            assert main([*command, "--output", str(runs)]) == 0
    return runs


def test_the_front_of_a_profile_has_its_latencies_and_says_whose_they_are(look, output):
    own, there = look("front", "tiny", "--json").json, look("front", "tiny", "--profile", "torch", "--json").json
    assert {point["engine"] for point in there["points"]} == {f"torch {there['machine']['torch']}"}
    assert {point["engine"].split()[0] for point in own["points"]} == {"onnxruntime"}
    assert there["points"][0]["latency_ms"]["value"] == pytest.approx(4 * own["points"][0]["latency_ms"]["value"])
    lines = look("front", "tiny", "--profile", "torch").out
    assert "profile torch: " in lines and ", torch 2" in lines
    assert f"searchlab plot tiny --output {output} --profile torch" in " ".join(lines.split())


def test_a_point_of_a_profile(look, output):
    shown = look("show", 1, "tiny", "--profile", "torch", "--json").json
    assert shown["latency"]["machine"]["engine"] == "torch"
    assert look("show", 1, "tiny", "--json").json["latency"]["machine"]["engine"] == "onnxruntime"


def test_the_name_study_is_the_study_itself(look, output):
    assert look("front", "tiny", "--profile", "study", "--json").out == look("front", "tiny", "--json").out


def test_profiles_are_listed(look, output):
    found = look("profile", "tiny", "--list", "--json").json["profiles"]
    assert [each["profile"] for each in found] == ["other", "torch"] or [e["profile"] for e in found] == [
        "torch",
        "other",
    ]
    assert all(0 < each["networks"] <= 4 and each["points"] > 0 for each in found)
    assert "--profile study --profile " in " ".join(look("profile", "tiny", "--list").out.split())
    assert "tiny has device profiles: other, torch" in look("runs").out
    assert look("runs", "--json").json["studies"][0]["profiles"] == ["other", "torch"]


def test_a_plot_of_a_profile_and_of_several(look, output):
    page, picture = look("plot", "tiny", "--profile", "torch").out.split()
    assert (Path(page).name, Path(picture).name) == ("front-torch.html", "front-torch.png")
    assert "latency p50 in torch (ms)" in Path(page).read_text()
    page, picture = look("plot", "tiny", "--profile", "study", "--profile", "torch").out.split()
    assert Path(page).name == "profiles.html" and imread(picture).shape[:2] == (1000, 1600)
    text = Path(page).read_text()
    assert "study: onnxruntime " in text and "torch: torch " in text


def test_a_profile_that_is_complete_is_not_measured_again(searchlab, output, monkeypatch):
    store = stored_study("tiny", RunOptions(output=output))
    fake = fake_measure(monkeypatch, store)
    command = ("profile", "tiny", "--engine", "torch", *ARGUMENTS, "--name", "torch", "--output", output)
    answer = searchlab(*command)
    assert answer.code == 0 and not fake.measured and "measured before" in answer.out
    answer = searchlab(*command, "--json")
    front = searchlab("front", "tiny", "--profile", "torch", "--output", output, "--json").json
    assert answer.json["front"] == front and answer.json["measured"] == []


def test_profiles_go_with_their_study(searchlab, folder, monkeypatch):
    store, _ = made_study(folder / "runs", trials=1)
    fake_measure(monkeypatch, store)
    assert searchlab("profile", "tiny", "--engine", "torch", *ARGUMENTS).code == 0
    assert searchlab("plot", "tiny", "--profile", "torch").code == 0
    assert searchlab("plot", "tiny", "--profile", "torch", "--profile", "study").code == 0
    answer = searchlab("remove", "tiny", "--yes")
    assert answer.code == 0 and ", profile torch" in answer.out.splitlines()[0]
    assert not (folder / "runs" / "tiny").exists(), "its plots too"
    made_study(folder / "runs", trials=1)
    assert searchlab("profile", "tiny", "--list", "--json").json["profiles"] == []


# -- what is refused


def test_an_unknown_profile(searchlab, output):
    for command in (("front", "tiny"), ("show", "1", "tiny"), ("plot", "tiny")):
        answer = searchlab(*command, "--profile", "tosch", "--output", output)
        answer.fails("unknown-profile", where="study tiny", value="tosch")
        assert "did you mean 'torch'? known: other, torch" in answer.err


@pytest.mark.parametrize("other", ["--test", "--replicates"])
def test_a_profile_has_no_test_figures_and_no_replicates(searchlab, output, other):
    searchlab("front", "tiny", "--profile", "torch", other, "--output", output).fails("conflicting-options")


def test_an_engine_that_is_not_installed(searchlab, output, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("searchlab.engines.engine.import_module", missing)
    answer = searchlab("profile", "tiny", "--engine", "openvino", *ARGUMENTS, "--output", output)
    answer.fails("engine-missing", value="openvino")
    assert "pip install" in answer.err


def test_a_study_in_which_nothing_can_be_measured(searchlab, folder, monkeypatch):
    from searchlab.errors import TrialFailure

    store, _ = made_study(folder / "runs", trials=1)
    noisy = TrialFailure("latency-not-measured", "its latency could not be measured: too noisy")
    fake_measure(monkeypatch, store, more={0: noisy})
    answer = searchlab("profile", "tiny", "--engine", "torch", *ARGUMENTS)
    answer.fails("no-results", where="study tiny")
    assert "trial 0: its latency could not be measured: too noisy" in answer.err


@pytest.mark.slow
def test_what_a_newcomer_sees(searchlab, folder):
    write = folder / "studies" / "little.py"
    write.write_text(STUDY.replace("accuracy, macs", "accuracy, latency_ms"))
    assert searchlab("run", "little", "--trials", 2).code == 0
    before = json.dumps(searchlab("trials", "little", "--json").json)
    answer = searchlab("profile", "little", "--engine", "torch", "--threads", 1)
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0].startswith("study little: profile torch")
    assert lines[1] == "2 networks without a latency there: those on the front of the study come first"
    assert any(line.startswith("trial ") and " without early exits, " in line for line in lines[2:])
    assert any("profile torch" in line and "measured" in line for line in lines)
    assert json.dumps(searchlab("trials", "little", "--json").json) == before, "the study stays as it is"
    front = searchlab("front", "little", "--profile", "torch", "--json").json
    assert {point["engine"].split()[0] for point in front["points"]} == {"torch"}
