import csv
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from little_files import write_few_images
from matplotlib.image import imread

from searchlab.analysis.stored_replicates import replicates_of
from searchlab.cli.main import main
from searchlab.search.store import stored_study
from searchlab.study import RunOptions

pytestmark = pytest.mark.slow  # A study is trained for all of them.

SCRIPT = "from searchlab.cli.main import script; script()"


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Where the study `little` was run with two trials, and replicated; and `other`, which was not."""
    home = tmp_path_factory.mktemp("replicating")
    study, runs = str(write_few_images(home, 200)), str(home / "runs")
    assert main(["run", study, "--output", runs, "--trials", "2"]) == 0
    assert main(["replicate", "little", "--output", runs, "--seeds", "2"]) == 0
    assert main(["run", study, "--output", runs, "--trials", "1", "--epochs", "1", "--name", "other"]) == 0
    return home / "runs"


def check_refused(answer, code: str, **named) -> None:
    answer.fails(code, **named)
    assert answer.out == ""


def test_what_a_newcomer_sees(searchlab, output):
    assert searchlab("run", "little", "--trials", 1).code == 0
    answer = searchlab("replicate", "little", "--seeds", 2)
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0] == "study little: replicates of its front, store sqlite:///runs/studies.db"
    assert lines[1].startswith("2 trainings to do, of 1 candidate of the front; the original trainings took ")
    assert lines[2].startswith("trial 0, fresh seed 1: resnet 1-1 of width ")
    assert lines[3].startswith("trial 0, fresh seed 1: complete in ") and lines[3].endswith("[1 of 2]")
    assert any(line.startswith("Selection bias: the ") for line in lines)
    assert lines[-1] == "2 replicates: 2 complete · next: searchlab plot little --replicates"
    assert max(map(len, lines)) <= 120
    again = searchlab("replicate", "little", "--seeds", 2)
    assert "2 done before, nothing left to train" in again.out and "fresh seed 1: " not in again.out


def test_the_front_shows_replicates_when_asked_and_is_else_as_it_was(look, output):
    assert "fresh seeds" not in look("front", "little").out
    assert look("front", "little", "--replicates").out in look("replicate", "little", "--seeds", 2).out
    front = look("front", "little", "--json").json
    assert front["trials"] == {"complete": 2}
    points = look("front", "little", "--replicates", "--json").json["points"]
    same = ("point", "trial", "accuracy", "macs", "thresholds", "shares")
    assert [[point[key] for key in same] for point in points] == [[p[key] for key in same] for p in front["points"]]
    assert [row["trial"] for row in look("trials", "little", "--json").json["trials"]] == [0, 1]


def test_json_has_means_and_every_seed(look, output):
    payload = look("front", "little", "--replicates", "--json").json
    for point in payload["points"]:
        assert point["seeds"] == len(point["fresh"]) == 2
        for split in ("validation", "test"):
            mean, seeds = point[f"fresh_{split}_accuracy"], [seed[f"{split}_accuracy"] for seed in point["fresh"]]
            assert mean["value"] == pytest.approx(sum(seeds) / 2) and mean["low"] is mean["high"] is None, "of two"
        assert point["fresh_test_macs"].keys() == {"value", "low", "high"}
    found = payload["optimism"]
    assert found["lost"]["value"] == pytest.approx(found["picked"] - found["validation"]["value"])
    assert Counter(each["state"] for each in payload["replicates"]) == {"complete": len(payload["replicates"])}
    assert all((Path(each["directory"]) / "weights.safetensors").is_file() for each in payload["replicates"])


def test_json_of_replicate_is_one_document(searchlab, output):
    answer = searchlab("replicate", "little", "--seeds", 2, "--json", "--output", output)
    assert answer.json == searchlab("front", "little", "--replicates", "--json", "--output", output).json
    assert "nothing left to train" in answer.err


def test_csv_of_the_front_and_of_its_replicates(look, folder):
    shown = look("front", "little", "--replicates", "--csv", "fresh.csv", "--json").json["points"]
    rows = list(csv.DictReader(Path("fresh.csv").read_text().splitlines()))
    assert [float(row["fresh_test_accuracy"]) for row in rows] == [p["fresh_test_accuracy"]["value"] for p in shown]
    assert {row["fresh_test_accuracy_low"] for row in rows} == {""}
    look("front", "little", "--csv", "front.csv")
    front = list(csv.DictReader(Path("front.csv").read_text().splitlines()))
    assert [row["accuracy"] for row in front] == [row["accuracy"] for row in rows]


def test_plot_writes_a_page_and_a_picture(look, output):
    page, picture = output / "little" / "replicates.html", output / "little" / "replicates.png"
    assert look("plot", "little", "--replicates").out.split() == [str(page), str(picture)]
    assert imread(picture).shape[:2] == (1000, 1600)
    text = page.read_text()
    assert "Front of little, trained again" in text and "Selection bias" in text


# -- what is refused


def test_a_study_without_replicates(searchlab, output):
    for command in (("front", "other", "--replicates"), ("plot", "other", "--replicates")):
        answer = searchlab(*command, "--output", output)
        check_refused(answer, "no-results", where="study other", mentions="`searchlab replicate other`")


def test_both_kinds_of_test_figures(searchlab, output):
    answer = searchlab("front", "little", "--replicates", "--test", "--output", output)
    check_refused(answer, "conflicting-options", mentions="--test")


def test_no_such_study(searchlab, output):
    answer = searchlab("replicate", "lettle", "--output", output)
    known = "(did you mean 'little'? known: little, other)"
    check_refused(answer, "unknown-study", value="lettle", mentions=known)


def test_no_seeds(searchlab, output):
    answer = searchlab("replicate", "little", "--seeds", 0, "--output", output)
    check_refused(answer, "invalid-usage", where="--seeds", value="0")


def test_no_store(searchlab):
    check_refused(searchlab("replicate", "little"), "store-not-found")


def test_a_file_that_cannot_be_written(searchlab, output):
    command = ("front", "little", "--replicates", "--csv", "studies/little.py/all.csv", "--output", output)
    check_refused(searchlab(*command), "cannot-write", where="studies/little.py/all.csv")


# -- a real process, killed


def test_after_kill_9_only_what_is_missing_is_trained(searchlab, folder):
    assert searchlab("run", "little", "--trials", 1, "--epochs", 6).code == 0
    command = [sys.executable, "-c", SCRIPT, "replicate", "little", "--seeds", "2", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if line.startswith("trial 0, fresh seed 2: resnet"):
                break
        child.send_signal(signal.SIGKILL)
        assert child.wait(timeout=30) == -signal.SIGKILL
    before = replicates_of(stored_study("little", RunOptions()))
    assert [replicate.run for replicate in before] == [1]
    answer = searchlab("replicate", "little", "--seeds", 2)
    assert (answer.code, answer.err) == (0, "") and "1 done before, 1 training to do" in answer.out
    after = replicates_of(stored_study("little", RunOptions()))
    assert [replicate.run for replicate in after] == [1, 2] and after[0] == before[0]
    assert [record.number for record in stored_study("little", RunOptions()).records()] == [0]
