import fcntl
import os
from pathlib import Path

import pytest
from raises import raises_code

WRONG = {
    "an unknown study": (
        ["run", "nope"],
        raises_code("unknown-study", value="nope", mentions="known: broken, cifar10_small, dataless, dict"),
    ),
    "a path to nothing": (["run", "./nope.py"], raises_code("path-not-found", value="nope.py")),
    "an unknown sampler": (
        ["run", "little", "--sampler", "bayes"],
        raises_code("unknown-sampler", where="--sampler", value="bayes", mentions="known: gp"),
    ),
    "a sampler's file that is not there": (
        ["run", "little", "--sampler", "no.py"],
        raises_code("path-not-found", where="--sampler", value="no.py"),
    ),
    "an unknown runner": (
        ["run", "little", "--runner", "spark"],
        raises_code("unknown-runner", where="--runner", value="spark"),
    ),
    "an unknown device": (["run", "little", "--device", "tpu"], raises_code("unknown-device", value="tpu")),
    "a device that is not there": (
        ["run", "little", "--device", "cuda:99"],
        raises_code("unknown-device", value="cuda:99"),
    ),
    "an unknown objective": (
        ["run", "little", "--objectives", "accuracy,joy"],
        raises_code("unknown-objective", where="--objectives", value="joy"),
    ),
    "one objective": (
        ["run", "little", "--objectives", "accuracy"],
        raises_code("invalid-usage", where="--objectives", value="accuracy"),
    ),
    "an objective twice": (
        ["run", "little", "--objectives", "macs,macs"],
        raises_code("invalid-usage", where="--objectives", value="macs,macs"),
    ),
    "four objectives": (
        ["run", "little", "--objectives", "accuracy,macs,params,latency_ms"],
        raises_code("invalid-usage", where="--objectives", value="accuracy,macs,params,latency_ms"),
    ),
    "a rule that is none": (
        ["run", "little", "--early-stopping", "x"],
        raises_code("unknown-early-stopping-rule", where="--early-stopping", value="x"),
    ),
    "a cap of nothing": (
        ["run", "little", "--max-params", "0"],
        raises_code("invalid-usage", where="--max-params", value="0"),
    ),
    "a cap that nothing holds": (
        ["run", "little", "--max-params", "9"],
        raises_code("limits-too-low", where="study little", value=9, mentions="max_params"),
    ),
    "a number that is none": (
        ["run", "little", "--trials", "many"],
        raises_code("invalid-usage", where="--trials", value="many"),
    ),
    "a negative number": (["run", "little", "--seed", "-4"], raises_code("invalid-usage", where="--seed", value="-4")),
    "no hours": (
        ["run", "little", "--hours", "0"],
        raises_code("invalid-field", where="--hours", value="0", mentions="must be greater than 0"),
    ),
    "hours below nothing": (["run", "little", "--hours=-1"], raises_code("invalid-field", where="--hours", value="-1")),
    "no latency": (
        ["run", "little", "--max-latency", "-1"],
        raises_code("invalid-field", where="--max-latency", value="-1"),
    ),
    "a name for no folder": (["run", "little", "--name", "../up"], raises_code("invalid-study-name", value="../up")),
    "an output that is a file": (
        ["run", "little", "--output", "file"],
        raises_code("cannot-write", where="file/little"),
    ),
    "a storage that is none": (
        ["run", "little", "--storage", "here"],
        raises_code("invalid-storage-url", where="--storage", value="here"),
    ),
    "a driver that is missing": (
        ["run", "little", "--storage", "mysql+pymysql://u:pass-1234@h/d"],
        raises_code("package-missing", where="--storage", mentions="pymysql"),
    ),
    "the driver of MySQL": (
        ["run", "little", "--storage", "mysql://u:pass-1234@h/d"],
        raises_code("package-missing", where="--storage", mentions="pymysql"),
    ),
    "a study without its argument": (["run"], raises_code("invalid-usage", mentions="'STUDY'")),
    "an option without its value": (["run", "little", "--data"], raises_code("invalid-usage", mentions="'--data'")),
    "an option that is none": (["run", "little", "--trails", "3"], raises_code("invalid-usage", mentions="--trails")),
    "a command that is none": (["ran"], raises_code("invalid-usage", mentions="'ran'")),
    "no store to look at": (["front"], raises_code("store-not-found", where="runs/studies.db")),
    "no store to resume": (["resume", "little"], raises_code("store-not-found", where="runs/studies.db")),
    "no store to plot": (["plot", "little"], raises_code("store-not-found", where="runs/studies.db")),
    "a store that is no database": (
        ["front", "--storage", "sqlite:///file"],
        raises_code("store-unusable", where="sqlite:///file", mentions="damaged, or not an SQLite file"),
    ),
    "data that are not there": (
        ["run", "cifar10_small"],
        raises_code("data-missing", where="data", mentions="--download"),
    ),
    "no number to show": (["show", "little"], raises_code("invalid-usage", where="show", value="little")),
    "a number that is no decimal one": (["show", "²"], raises_code("invalid-usage", where="show", value="²")),
    "a number of 5,000 digits": (
        ["show", "9" * 5000],
        raises_code(
            "invalid-usage",
            where="show",
            value="9" * 5000,
        ),
    ),
    "two numbers to show": (["show", "1", "2"], raises_code("invalid-usage", where="show", value="1 2")),
    "a study that does not parse": (["run", "broken"], raises_code("invalid-python", where="studies/broken.py:2")),
    "a study that returns a dict": (
        ["run", "dict"],
        raises_code("wrong-return-type", where="studies/dict.py", value="dict"),
    ),
    "a study with a wrong field": (
        ["run", "field"],
        raises_code("invalid-field", where="studies/field.py:2", value=-1, mentions="Study.epochs"),
    ),
    "a study without its space": (["run", "spaceless"], raises_code("unknown-space", value="nowhere")),
    "a study of unknown data": (
        ["run", "dataless"],
        raises_code("unknown-data-set", where="data", value="cifar11", mentions="did you mean 'cifar10'? known: ci"),
    ),
    "a space that raises": (
        ["run", "raises"],
        raises_code("user-code-raised", where="space raises (spaces/raises.py:1)", mentions="ZeroDivisionError"),
    ),
    "a misspelt study": (
        ["run", "digts"],
        raises_code("unknown-study", value="digts", mentions="did you mean 'digits'? known:"),
    ),
    "a sampler's field in a study": (
        ["run", "sampled"],
        raises_code("unknown-sampler", where="Study.sampler", value="bayes"),
    ),
    "a misspelt command": (["trails"], raises_code("invalid-usage", mentions=["'trails'", "'trials'"])),
    "a misspelt sampler": (
        ["run", "little", "--sampler", "nsga"],
        raises_code("unknown-sampler", where="--sampler", value="nsga", mentions="did you mean 'nsga2'? known:"),
    ),
    "a name for two ranges": (
        ["run", "twice"],
        raises_code("duplicate-name", where="space twice (spaces/twice.py:3)", value="x"),
    ),
    "an unknown regime": (
        ["run", "regime"],
        raises_code("unknown-regime", where="Training.regime", value="join", mentions="did you mean 'joint'? known:"),
    ),
    "a study in latin-1": (
        ["run", "latin"],
        raises_code("invalid-encoding", where="studies/latin.py:2", mentions="save it as UTF-8"),
    ),
    "brackets in a name": (["run", "[red]x[/red]"], raises_code("unknown-study", value="[red]x[/red]")),
}

FILES = {
    "file": "no database " * 200,
    "studies/broken.py": "\ndef study(:\n",
    "studies/dict.py": "def study(): return {}",
    "studies/field.py": "from searchlab.study import Study\ndef study(): return Study('little', 'digits', epochs=-1)",
    "studies/spaceless.py": "from searchlab.study import Study\ndef study(): return Study('nowhere', 'digits')",
    "studies/dataless.py": "from searchlab.study import Study\ndef study(): return Study('little', 'cifar11')",
    "studies/raises.py": "from searchlab.study import Study\ndef study(): return Study('raises', 'digits')",
    "studies/twice.py": "from searchlab.study import Study\ndef study(): return Study('twice', 'digits')",
    "spaces/twice.py": "def space(choose):\n    choose.suggest_int('x', 0, 1)\n    choose.suggest_int('x', 0, 2)",
    "studies/regime.py": "from searchlab.study import Study\ndef study(): return Study('regime', 'digits')",
    "spaces/regime.py": "from searchlab.architecture import ResNet\nfrom searchlab.candidate import *\n"
    "def space(choose): return Candidate(ResNet((1,), 4), training=Training(regime='join'))",
    "studies/sampled.py": "from searchlab.study import Study\n"
    "def study(): return Study('little', 'digits', sampler='bayes')",
    "spaces/raises.py": "def space(choose): return 1 / choose.suggest_int('zero', 0, 0)",
}


@pytest.mark.parametrize(("arguments", "refused"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_one_line_and_exit_code_2(searchlab, arguments, refused):
    for path, text in FILES.items():
        Path(path).write_text(text)
    Path("studies/latin.py").write_bytes(b"\n# caf\xe9\n")
    answer = searchlab(*arguments)
    assert answer.code == 2
    refused.check_printed(answer.err)
    assert "pass-1234" not in answer.out + answer.err, "a password"
    assert not Path("runs").exists()
    assert "study little" not in answer.out, "no heading of a run that is refused"


def test_a_mistake_in_a_file_given_by_a_relative_path_shows_the_path_as_given(searchlab, monkeypatch):
    for path, text in FILES.items():
        Path(path).write_text(text)
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    for name, place in {"dict": "dict.py", "field": "field.py:2", "broken": "broken.py:2"}.items():
        assert searchlab("run", f"../studies/{name}.py").err.startswith(f"error: ../studies/{place}: ")
    answer = searchlab("run", "../studies/raises.py")
    answer.fails("user-code-raised", where="space raises (../spaces/raises.py:1)")


@pytest.mark.parametrize("option", ["--max-params", "--trials", "--epochs"])
def test_the_offending_value_of_an_option_is_named(searchlab, option):
    assert "'many'" in searchlab("run", "little", option, "many").err
    assert "'0'" in searchlab("run", "little", f"{option}=0").err


def test_files_that_studies_name_are_not_listed_as_known_studies(searchlab):
    helpers = {"mine": "def sampler(seed): ...", "pets": "def dataset(root, download): ...", "ratio": "score = max"}
    Path("images").mkdir()
    for name, text in helpers.items():
        Path(f"studies/{name}.py").write_text(text)
    for arguments in (["run", "nope"], ["run", "nope", "--images", "images"]):
        answer = searchlab(*arguments)
        assert "little" in answer.err and not any(f" {name}," in answer.err for name in helpers), arguments


@pytest.mark.slow
def test_a_smaller_total_than_there_are_trials_is_one_line_and_changes_nothing(searchlab):
    assert searchlab("run", "little", "--trials", 2).code == 0
    before = searchlab("runs", "--json").json
    answer = searchlab("resume", "little", "--trials", 1)
    answer.fails("invalid-usage", where="--trials", value=1, mentions="--trials 3")
    assert answer.out == ""
    assert searchlab("runs", "--json").json == before
    assert searchlab("resume", "little").code == 0


@pytest.mark.slow
def test_a_plot_that_cannot_be_written_names_the_option_for_another_folder(searchlab):
    assert searchlab("run", "little", "--trials", 1).code == 0
    Path("taken").touch()
    answer = searchlab("plot", "little", "--to", "taken/plots")
    answer.fails("cannot-write", mentions="--to")
    assert "--output" not in answer.err
    assert searchlab("plot", "little", "--to", "elsewhere").out.split() == [
        "elsewhere/front.html",
        "elsewhere/front.png",
    ]
    assert Path("elsewhere/front.png").is_file() and not Path("runs/little/front.png").exists()


@pytest.mark.slow
def test_mistakes_about_a_study_that_is_there(searchlab):
    assert searchlab("run", "little", "--trials", 1).code == 0
    held = os.open("runs/little/driver.lock", os.O_RDWR)
    wrong = {
        ("show", 99): raises_code("unknown-point", where="front of little", value=99, mentions="(1 to "),
        ("show", 99, "--trial"): raises_code("unknown-trial", where="study little", value=99),
        ("show", 0): raises_code("unknown-point", value=0),
        ("show", 1, "nope"): raises_code("unknown-study", value="nope", mentions="(known: little)"),
        ("front", "nope"): raises_code("unknown-study", value="nope", mentions="(known: little)"),
        ("resume", "nope"): raises_code("unknown-study", value="nope", mentions="(known: little)"),
        ("run", "little"): raises_code("study-exists", mentions=["'little'", "`searchlab resume little`"]),
        ("resume", "little", "--trials", 0): raises_code("invalid-usage", where="--trials", value="0"),
    }
    for arguments, refused in wrong.items():
        answer = searchlab(*arguments)
        assert answer.code == 2
        refused.check_printed(answer.err)
    fcntl.flock(held, fcntl.LOCK_EX)
    answer = searchlab("resume", "little", "--trials", 3)
    os.close(held)
    answer.fails("study-running", where="study little")
    assert len(searchlab("trials", "--json").json["trials"]) == 1


def test_debug_shows_the_traceback_wherever_it_stands(searchlab):
    for arguments in (["--debug", "run", "nope"], ["run", "nope", "--debug"]):
        answer = searchlab(*arguments)
        assert answer.code == 2
        assert "Traceback (most recent call last)" in answer.err and "catalog.py" in answer.err
        raises_code("unknown-study", value="nope").check_printed(answer.err.splitlines(True)[-1])


@pytest.mark.slow
def test_a_study_in_which_everything_fails_ends_with_the_reason(searchlab):
    text = Path("spaces/little.py").read_text()
    Path("spaces/little.py").write_text(text.replace('"rate", 0.05, 0.2', '"rate", 1e30, 1e31'))
    answer = searchlab("run", "little", "--trials", 9)
    answer.fails("all-trials-failed", mentions="diverged")
    assert [row["state"] for row in searchlab("trials", "--json").json["trials"]] == ["failed"] * 3
    assert "No front yet" in searchlab("front").out
