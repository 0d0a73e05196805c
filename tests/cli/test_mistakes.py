import fcntl
import os
from pathlib import Path

import pytest

WRONG = {
    "an unknown study": (["run", "nope"], "unknown study: 'nope' (known: broken, cifar10_small, dataless, dict"),
    "a path to nothing": (["run", "./nope.py"], "no such study file: 'nope.py'"),
    "an unknown sampler": (["run", "little", "--sampler", "bayes"], "--sampler: unknown sampler: 'bayes' (known: gp, "),
    "a sampler's file that is not there": (["run", "little", "--sampler", "no.py"], "--sampler: no such file: 'no.py'"),
    "an unknown runner": (["run", "little", "--runner", "spark"], "--runner: unknown runner: 'spark' (known: "),
    "an unknown device": (["run", "little", "--device", "tpu"], "unknown device: 'tpu' (auto, cpu, cuda, cuda:N"),
    "a device that is not there": (["run", "little", "--device", "cuda:99"], "device on this machine: 'cuda:99'"),
    "an unknown objective": (["run", "little", "--objectives", "accuracy,joy"], "unknown objective: 'joy'"),
    "one objective": (["run", "little", "--objectives", "accuracy"], "not a set of objectives: 'accuracy'"),
    "an objective twice": (["run", "little", "--objectives", "macs,macs"], "two or three different ones of accuracy"),
    "four objectives": (["run", "little", "--objectives", "accuracy,macs,params,latency_ms"], "two or three different"),
    "a rule that is none": (["run", "little", "--early-stopping", "x"], "--early-stopping: unknown early stopping"),
    "a cap of nothing": (["run", "little", "--max-params", "0"], "--max-params: not valid: '0'"),
    "a cap that nothing holds": (["run", "little", "--max-params", "9"], "holds max_params: 9"),
    "a number that is none": (["run", "little", "--trials", "many"], "--trials: not valid: 'many'"),
    "a negative number": (["run", "little", "--seed", "-4"], "--seed: not valid: '-4'"),
    "no hours": (["run", "little", "--hours", "0"], "--hours: not valid: '0' (must be greater than 0)"),
    "hours below nothing": (["run", "little", "--hours=-1"], "--hours: not valid: '-1'"),
    "no latency": (["run", "little", "--max-latency", "-1"], "--max-latency: not valid: '-1'"),
    "a name for no folder": (["run", "little", "--name", "../up"], "no name for a study: '../up'"),
    "an output that is a file": (["run", "little", "--output", "file"], "file"),
    "a storage that is none": (["run", "little", "--storage", "here"], "--storage: no storage URL: 'here'"),
    "a driver that is missing": (["run", "little", "--storage", "mysql+pymysql://u:word@h/d"], "not installed"),
    "the driver of MySQL": (["run", "little", "--storage", "mysql://u:word@h/d"], "(pip install mysqlclient; or pip"),
    "a study without its argument": (["run"], "Missing argument 'STUDY'"),
    "an option without its value": (["run", "little", "--data"], "'--data' requires an argument"),
    "an option that is none": (["run", "little", "--trails", "3"], "No such option: --trails"),
    "a command that is none": (["ran"], "No such command 'ran'"),
    "no store to look at": (["front"], "runs/studies.db: no store"),
    "no store to resume": (["resume", "little"], "runs/studies.db: no store"),
    "no store to plot": (["plot", "little"], "runs/studies.db: no store"),
    "a store that is no database": (["front", "--storage", "sqlite:///file"], "damaged or no SQLite file"),
    "data that are not there": (["run", "cifar10_small"], "--download"),
    "no number to show": (["show", "little"], "show: give one number: 'little'"),
    "a number that is no decimal one": (["show", "²"], "show: give one number: '²'"),
    "a number of 5,000 digits": (["show", "9" * 5000], "show: give one number: '999"),
    "two numbers to show": (["show", "1", "2"], "show: give one number: '1 2'"),
    "a study that does not parse": (["run", "broken"], "broken.py:2: does not parse"),
    "a study that returns a dict": (["run", "dict"], "dict.py: study() must return a Study: 'dict'"),
    "a study with a wrong field": (["run", "field"], "Study.epochs is not valid: -1"),
    "a study without its space": (["run", "spaceless"], "unknown space: 'nowhere' (known: "),
    "a study of unknown data": (["run", "dataless"], "unknown data set: 'cifar11' (did you mean 'cifar10'? known: ci"),
    "a space that raises": (["run", "raises"], "space raises (spaces/raises.py:1): raised ZeroDivisionError"),
    "a misspelt study": (["run", "digts"], "unknown study: 'digts' (did you mean 'digits'? known: "),
    "a sampler's field in a study": (["run", "sampled"], "Study.sampler: unknown sampler: 'bayes'"),
    "a misspelt command": (["trails"], "No such command 'trails'. Did you mean 'trials'?"),
    "a misspelt sampler": (["run", "little", "--sampler", "nsga"], "(did you mean 'nsga2'? known: "),
    "a name for two ranges": (["run", "twice"], "space twice (spaces/twice.py:3): one name for two parameters: 'x' "),
    "an unknown regime": (["run", "regime"], "unknown regime: 'join' (did you mean 'joint'? known: "),
    "a study in latin-1": (["run", "latin"], "studies/latin.py:2: is no UTF-8 text (save it as UTF-8)"),
    "brackets in a name": (["run", "[red]x[/red]"], "unknown study: '[red]x[/red]'"),
}  # fmt: skip

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


@pytest.mark.parametrize(("arguments", "says"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_one_line_and_exit_code_2(searchlab, arguments, says):
    for path, text in FILES.items():
        Path(path).write_text(text)
    Path("studies/latin.py").write_bytes(b"\n# caf\xe9\n")
    answer = searchlab(*arguments)
    assert answer.code == 2
    assert answer.err.startswith("error: ") and answer.err.count("\n") == 1 and answer.err.endswith("\n")
    assert says in answer.err
    assert "word" not in answer.out + answer.err, "a password"
    assert not Path("runs/studies.db").exists()


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
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "--trials: study little already has 2 trials: 1 (the number is the total: --trials 3 adds one)" in answer.err
    assert searchlab("runs", "--json").json == before
    assert searchlab("resume", "little").code == 0


@pytest.mark.slow
def test_a_plot_that_cannot_be_written_names_the_option_for_another_folder(searchlab):
    assert searchlab("run", "little", "--trials", 1).code == 0
    Path("taken").touch()
    answer = searchlab("plot", "little", "--to", "taken/plots")
    assert answer.code == 2 and "cannot write" in answer.err and "see --to" in answer.err
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
        ("show", 99): "front of little: no such point: 99 (1 to ",
        ("show", 99, "--trial"): "study little: no such trial: 99 (",
        ("show", 0): "no such point: 0",
        ("show", 1, "nope"): "unknown study: 'nope' (known: little)",
        ("front", "nope"): "unknown study: 'nope' (known: little)",
        ("resume", "nope"): "unknown study: 'nope' (known: little)",
        ("run", "little"): "the store holds a study 'little' already (`searchlab resume little` goes on with it",
        ("resume", "little", "--trials", 0): "--trials: not valid: '0'",
    }
    for arguments, says in wrong.items():
        answer = searchlab(*arguments)
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert says in answer.err
    fcntl.flock(held, fcntl.LOCK_EX)
    answer = searchlab("resume", "little", "--trials", 3)
    os.close(held)
    assert answer.code == 2 and "is running this study" in answer.err
    assert len(searchlab("trials", "--json").json["trials"]) == 1


def test_debug_shows_the_traceback_wherever_it_stands(searchlab):
    for arguments in (["--debug", "run", "nope"], ["run", "nope", "--debug"]):
        answer = searchlab(*arguments)
        assert answer.code == 2
        assert "Traceback (most recent call last)" in answer.err and "catalog.py" in answer.err
        assert answer.err.splitlines()[-1].startswith("error: unknown study: 'nope'")


@pytest.mark.slow
def test_a_study_in_which_everything_fails_ends_with_the_reason(searchlab):
    text = Path("spaces/little.py").read_text()
    Path("spaces/little.py").write_text(text.replace('"rate", 0.05, 0.2', '"rate", 1e30, 1e31'))
    answer = searchlab("run", "little", "--trials", 9)
    assert answer.code == 2 and answer.err.count("\n") == 1
    assert "all 3 trials failed" in answer.err and "diverged" in answer.err
    assert [row["state"] for row in searchlab("trials", "--json").json["trials"]] == ["failed"] * 3
    assert "No front yet" in searchlab("front").out
