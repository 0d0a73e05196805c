import gc
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from little_files import write_files

from searchlab.cli.commands import COMMANDS
from searchlab.cli.main import main
from searchlab.search.store import stored_study
from searchlab.study import RunOptions

ESTIMATE = {"value", "low", "high"}


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Where the study `little` was run with four trials, one of them infeasible, and then `second` with one."""
    home = tmp_path_factory.mktemp("looking")
    study, runs = str(write_files(home)), str(home / "runs")
    limited = ["--max-params", "3000", "--sampler", "random", "--device", "cpu"]
    assert main(["run", study, "--output", runs, "--trials", "5", *limited]) == 0
    assert main(["run", study, "--output", runs, "--trials", "1", "--name", "second"]) == 0
    return home / "runs"


def records(output):
    return stored_study("little", RunOptions(output=output)).records()


# -- front


def test_front_shows_a_table_and_how_trials_ended(look):
    out = look("front", "little").out
    assert "accuracy" in out and "(test)" not in out
    assert "infeasible" in out and "hypervolume" in out


def test_front_as_json(look, output):
    front = look("front", "little", "--json").json
    assert front["study"] == "little" and front["objectives"] == ["accuracy", "macs"]
    assert front["trials"]["infeasible"] >= 1
    accuracies = [point["accuracy"]["value"] for point in front["points"]]
    assert accuracies == sorted(accuracies, reverse=True) and len(accuracies) >= 3
    by_number = {record.number: record for record in records(output)}
    numbers = [point["point"] for point in front["points"]]
    assert numbers == sorted(numbers) and numbers[-1] == front["points_total"]
    for point in front["points"]:
        assert point["accuracy"].keys() == ESTIMATE and point["test_accuracy"] is None and point["latency_ms"] is None
        assert {"macs", "params", "score", "exits", "thresholds", "shares"} <= point.keys()
        found = [(p.accuracy, p.macs, p.params) for p in by_number[point["trial"]].frontier.points]
        assert (point["accuracy"]["value"], point["macs"], point["params"]) in found


def test_fewer_points_keep_the_ends(look):
    whole = look("front", "little", "--json", "--points", 50).json["points"]
    few = look("front", "little", "--json", "--points", 3).json["points"]
    assert len(few) == 3 < len(whole)
    assert (few[0], few[-1]) == (whole[0], whole[-1])


def test_a_number_means_the_same_point_in_every_view(look):
    whole = {point["point"]: point for point in look("front", "little", "--json", "--points", 99).json["points"]}
    few = look("front", "little", "--json", "--points", 3).json
    assert few["points_total"] == len(whole) > 3
    assert f"3 of {len(whole)} points" in look("front", "little", "--points", 3).out
    assert all(whole[point["point"]] == point for point in few["points"])
    left_out = max(set(whole) - {point["point"] for point in few["points"]})
    shown = look("show", left_out, "little", "--json").json
    assert {key: shown[key] for key in whole[left_out]} == whole[left_out]


def test_without_a_name_the_study_begun_last(look):
    assert look("front", "--json").json["study"] == "second"


def test_the_test_split_is_read_once_and_that_is_recorded(look, output):
    before = look("front", "little", "--json").json
    first = look("front", "little", "--test", "--json").json
    looks = stored_study("little", RunOptions(output=output)).looks()
    assert looks and all(seen.when for seen in looks)
    assert [point["test_accuracy"].keys() for point in first["points"]] == [ESTIMATE] * len(first["points"])
    assert [point["accuracy"] for point in first["points"]] == [point["accuracy"] for point in before["points"]]
    for point in first["points"]:
        estimate = point["test_accuracy"]
        assert estimate["low"] <= estimate["value"] <= estimate["high"]
    second = look("front", "little", "--test")
    assert "(test)" in second.out and "reading the test split" not in second.out
    assert look("front", "little", "--test", "--json").json == first
    assert stored_study("little", RunOptions(output=output)).looks() == looks
    assert look("front", "little", "--json").json == before, "without --test nothing of the test split is shown"


def test_show_takes_a_number_of_the_front_that_was_tested(look):
    last = look("front", "little", "--test", "--json").json["points"][-1]
    shown = look("show", last["point"], "little", "--test", "--json").json
    assert shown["test_accuracy"] == last["test_accuracy"]
    assert shown["trial"] == last["trial"]
    searched = look("show", last["point"], "little", "--json").json
    assert (searched["trial"], searched["thresholds"]) == (last["trial"], last["thresholds"]), "the same point"


def test_show_test_names_the_points_that_were_measured_again(look, searchlab, output):
    numbers = [point["point"] for point in look("front", "little", "--test", "--json", "--points", 3).json["points"]]
    answer = searchlab("show", 999, "little", "--test", "--output", output)
    answer.fails("unknown-point", value=999, mentions=str(numbers[-1]))


def test_more_points_are_a_look_at_those_alone(look, output):
    look("front", "second", "--test", "--points", 3)
    store = stored_study("second", RunOptions(output=output))
    known = {point.rule for seen in store.looks() for point in seen.validation}
    more = look("front", "second", "--test", "--points", 8)
    assert "points again and reading the test split" in more.out
    looks = stored_study("second", RunOptions(output=output)).looks()
    rules = [point.rule for seen in looks for point in seen.validation]
    assert len(rules) == len(set(rules)) > len(known)
    shown = look("front", "second", "--test", "--json", "--points", 50).json["points"]
    assert all(point["test_accuracy"] for point in shown) and len(shown) > 8


# -- show, trials


def test_show_a_point(look):
    point = look("front", "little", "--json").json["points"][1]
    number = point["point"]
    out = look("show", number, "little").out
    for text in ("exits in use", "threshold", "stem", "final", "artefacts", "versions", f"trial {point['trial']}"):
        assert text in out
    shown = look("show", number, "little", "--json").json
    assert {key: shown[key] for key in point} == point
    assert {"stages", "heads"} <= shown["cost"].keys()


def test_show_a_trial_on_the_front_or_not(look, output):
    infeasible = next(record for record in records(output) if record.state == "infeasible")
    out = look("show", infeasible.number, "little", "--trial").out
    assert "infeasible" in out and "params" in out
    shown = look("show", infeasible.number, "little", "--trial", "--json").json
    assert shown["state"] == "infeasible" and shown["record"]["excess"]["params"] > 0


@pytest.mark.slow
def test_trials_lists_all(look, output):
    answer = look("trials", "little")
    assert "infeasible" in answer.out and "over the limit: params by" in answer.out
    rows = look("trials", "little", "--json").json["trials"]
    assert [row["trial"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["state"] for row in rows] == [record.state for record in records(output)]


# -- plot


def test_plot_writes_a_page_and_a_picture(look, output):
    page, picture = output / "little" / "front.html", output / "little" / "front.png"
    assert look("plot", "little").out.split() == [str(page), str(picture)]
    assert page.read_text().lstrip()[:15].lower().startswith("<!doctype html") or "<html" in page.read_text()[:400]
    assert picture.read_bytes()[:4] == b"\x89PNG"
    paths = look("plot", "little", "--json").json
    assert paths == {"study": "little", "html": str(page), "png": str(picture)}


# -- what there is


def test_studies_and_spaces_are_those_of_the_folder_and_the_built_in_ones(searchlab):
    for command, description in (
        ("studies", "Digits, as small as it gets"),
        ("spaces", "Two blocks and an early exit"),
    ):
        answer = searchlab(command)
        assert answer.code == 0 and "little" in answer.out and description in answer.out
        named = {found["name"]: found for found in searchlab(command, "--json").json[command]}
        assert named["little"]["description"] == description
        assert {"digits", "cifar10_small"} <= named.keys() if command == "studies" else "small_resnet" in named


def test_a_study_that_does_not_load_does_not_hide_the_others(searchlab):
    Path("studies/broken.py").write_text("def study(:\n")
    answer = searchlab("studies")
    assert answer.code == 0 and "little" in answer.out and "digits" in answer.out
    assert "broken.py:1: " in answer.out + answer.err
    assert "little" in [found["name"] for found in searchlab("studies", "--json").json["studies"]]


def test_a_list_runs_no_file_of_the_users(searchlab):
    for kind in ("studies", "spaces"):
        Path(f"{kind}/loud.py").write_text('"""Loud."""\nopen("executed", "w")\ndef study(): return make()\n')
        answer = searchlab(kind)
        assert answer.code == 0 and "loud" in answer.out and answer.err == ""
        assert "Loud" in searchlab(kind, "--json").out
    assert not Path("executed").exists()
    assert "the other fields, when the study is run" in searchlab("studies").out


def test_a_space_file_that_is_no_text_does_not_hide_the_others(searchlab):
    Path("spaces/old.py").write_bytes(b'"""Caf\xe9."""')
    answer = searchlab("spaces")
    assert answer.code == 0 and "little" in answer.out
    assert "omitted: " in answer.err and "old.py:1: " in answer.err


def test_whoever_asks_for_nothing_is_shown_the_help(searchlab):
    answer = searchlab()
    assert (answer.code, answer.err) == (0, "") and "Usage: searchlab" in answer.out


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_h_is_help_everywhere(searchlab, command):
    assert searchlab(*command, "-h") == searchlab(*command, "--help")


def test_all_json_is_one_document_without_nan(look):
    for command in (("front", "little"), ("trials", "little"), ("show", 1, "little"), ("show", 0, "little", "--trial")):
        json.loads(look(*command, "--json").out, parse_constant=lambda text: pytest.fail(text))


def test_help_names_every_command_and_fits_a_terminal(searchlab):
    answer = searchlab("--help")
    assert answer.code == 0
    for name, command in COMMANDS.items():
        assert name in answer.out
        help_of_it = searchlab(name, "--help")
        assert help_of_it.code == 0 and f"Usage: searchlab {name}" in help_of_it.out
        first_paragraph = inspect.getdoc(command.load()).split("\n\n")[0]
        assert command.line == " ".join(first_paragraph.split())


def test_help_does_not_wait_for_torch():
    """Nor for anything else that takes longer than printing it."""
    code = (
        "import sys; from searchlab.cli.main import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "studies" in ran.stdout and "'typer'" in ran.stderr
    for heavy in ("torch", "optuna", "pandas", "sklearn", "searchlab.trial"):
        assert f"'{heavy}'" not in ran.stderr


@pytest.mark.slow
def test_looking_writes_nothing(look, output):
    def state():
        """Without what SQLite has beside a database while someone reads it."""
        files = [path for path in output.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))]
        return {(path, path.stat().st_mtime_ns) for path in files}

    # A connection that was left open by an earlier test would write its log into the database some time.
    gc.collect()
    before = state()
    for command in (("front", "little"), ("trials", "little"), ("show", 1, "little")):
        look(*command)
    assert state() == before
