import re
import warnings
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from little_files import STUDY
from optuna.trial import TrialState
from tiny import tiny_study

from searchlab.cli import running
from searchlab.front.points import study_front
from searchlab.record import Seconds
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore, stored_study
from searchlab.study import Cluster, RunOptions


def kept(output: str = "runs", name: str = "little") -> StudyStore:
    return stored_study(name, RunOptions(output=Path(output)))


def timeless(store: StudyStore) -> list:
    """Records without what differs between two runs of the same."""
    return [replace(record, seconds=Seconds(), directory="", output="") for record in store.records()]


def edit(path: str, before: str, after: str) -> None:
    text = Path(path).read_text()
    assert before in text
    Path(path).write_text(text.replace(before, after))


@pytest.mark.slow
def test_the_first_command_a_stranger_types(searchlab):
    answer = searchlab("run", "digits", "--trials", 2, "--epochs", 2, "--objectives", "accuracy,macs")
    assert (answer.code, answer.err) == (0, "")
    assert "study digits: small_resnet on digits, 2 trials of 2 epochs" in answer.out
    assert "trial 0: resnet" in answer.out and "trial 1: complete in" in answer.out and "[2 of 2]" in answer.out
    assert "2 trials: 2 complete" in answer.out
    assert [record.state for record in kept(name="digits").records()] == ["complete"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [12345, 99_999_999_999_999_999_999])
def test_a_large_seed_runs_resumes_and_is_trained_again(searchlab, seed):
    """To the proposals of TPE's model, which begin with trial 5."""
    assert searchlab("run", "little", "--sampler", "tpe", "--seed", seed, "--trials", 2, "--epochs", 1).code == 0
    assert searchlab("resume", "little", "--trials", 7).code == 0
    assert [record.state for record in kept().records()] == ["complete"] * 7
    assert kept().definition.study.seed == seed
    assert searchlab("replicate", "little", "--seeds", 1, "--points", 1).code == 0


@pytest.mark.slow
def test_a_study_runs_shows_its_front_and_leaves_its_artefacts(searchlab):
    answer = searchlab("run", "little")
    assert (answer.code, answer.err) == (0, "")
    assert "accuracy" in answer.out and "hypervolume" in answer.out and "next: searchlab plot little" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 120
    for record in kept().records():
        assert (Path(record.directory) / "record.json").is_file()
        assert Path(record.directory) == Path("runs/little", f"trial-{record.number:05d}").absolute()


@pytest.mark.slow
def test_other_objectives_are_one_line_even_if_forced(searchlab):
    searchlab("run", "little", "--trials", 1, "--epochs", 1)
    edit("studies/little.py", "accuracy, macs", "accuracy, macs, params")
    for forced in ([], ["--force"]):
        answer = searchlab("resume", "little", "--trials", 2, *forced)
        answer.fails("definition-changed", where="study little", mentions="objectives")
        assert answer.out == ""
    assert len(kept().records()) == 1
    Path("studies/little.py").write_text(STUDY)
    assert searchlab("resume", "little", "--trials", 2).code == 0


@pytest.mark.parametrize("command", ["resume", "front", "trials"])
def test_a_study_killed_before_it_was_defined_says_what_to_do_and_can_be_run(searchlab, command):
    storage = open_storage(RunOptions().storage_url, create=True)
    optuna.create_study(storage=storage, study_name="little", directions=["maximize", "minimize"])
    answer = searchlab(command, "little")
    answer.fails("study-not-started", mentions=["'little'", "`searchlab run little`"])
    if command == "resume":
        assert searchlab("run", "little", "--trials", 1, "--epochs", 1).code == 0


@pytest.mark.slow
def test_overrides_are_kept(searchlab):
    given = ["--trials", 1, "--epochs", 1, "--seed", 5, "--max-params", 3000, "--max-macs", 90_000, "--sampler", "qmc"]
    searchlab("run", "little", *given, "--objectives", "accuracy,params", "--name", "other", "--hours", 2)
    study = kept(name="other").definition.study
    assert (study.trials, study.epochs, study.seed, study.hours) == (1, 1, 5, 2.0)
    assert (study.max_params, study.max_macs, study.sampler) == (3000, 90_000, "qmc")
    assert [objective.name for objective in study.objectives] == ["accuracy", "params"]
    assert kept(name="other").definition.written.epochs == 2
    assert searchlab("resume", "other", "--trials", 2).code == 0
    assert kept(name="other").definition.study == replace(study, trials=2)


@pytest.mark.slow
def test_the_same_seed_repeats_a_study_and_another_does_not(searchlab):
    for output, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert searchlab("run", "little", "--output", output, "--seed", seed).code == 0
    assert timeless(kept("a")) == timeless(kept("b"))
    assert [trial.values for trial in kept("a").trials()] == [trial.values for trial in kept("b").trials()]
    assert [r.candidate for r in kept("a").records()] != [r.candidate for r in kept("c").records()]


@pytest.mark.slow
def test_a_resumed_study_is_what_it_would_have_been(searchlab):
    searchlab("run", "little", "--output", "whole")
    searchlab("run", "little", "--trials", 1)
    answer = searchlab("resume", "little", "--trials", 3)
    assert answer.code == 0 and "1 trial: 1 complete so far, of 3" in answer.out
    assert timeless(kept()) == timeless(kept("whole"))
    assert "3 trials: 3 complete" in searchlab("resume").out
    assert len(kept().records()) == 3


@pytest.mark.slow
def test_every_sampler_and_a_storage_url_of_ones_own(searchlab):
    for sampler in ("tpe", "nsga2", "gp", "random", "qmc"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            answer = searchlab(
                *("run", "little", "--sampler", sampler, "--name", sampler, "--trials", 2, "--epochs", 1),
                *("--storage", "sqlite:///elsewhere.db"),
            )
        assert (answer.code, answer.err) == (0, "")
    assert Path("elsewhere.db").is_file() and not Path("runs/studies.db").exists()
    assert searchlab("front", "gp", "--storage", "sqlite:///elsewhere.db", "--json").json["study"] == "gp"


@pytest.mark.slow
def test_optuna_sees_the_same_trials(searchlab):
    searchlab("run", "little", "--max-params", 1500, "--trials", 5, "--sampler", "random")
    seen = optuna.load_study(study_name="little", storage="sqlite:///runs/studies.db").trials
    records = kept().records()
    assert len(seen) == len(records) == 5
    assert {record.state for record in records} == {"complete", "infeasible"}
    for record, trial in zip(records, seen, strict=True):
        assert trial.params.keys() == {"width", "rate"}
        folder = trial.user_attrs["artefacts"]
        assert record.directory == (str(Path("runs").absolute() / folder) if folder else "")
        if record.state == "complete":
            assert (trial.state, trial.constraints) == (TrialState.COMPLETE, {})
            points = [[point.accuracy, point.macs] for point in record.frontier.points]
            assert trial.values in points
        else:
            assert (trial.state, trial.constraints) == (TrialState.PRUNED, record.excess)
            assert record.excess["params"] > 0 and trial.values is None


# -- a definition that changed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "before", "after", "shown"),
    [
        (
            "studies/little.py",
            "thresholds_per_exit=11",
            "thresholds_per_exit=12",
            ["-thresholds_per_exit = 11", "+thresholds_per_exit = 12"],
        ),
        (
            "spaces/little.py",
            '"width", 2, 8',
            '"width", 2, 9',
            ['-    width = choose.suggest_int("width", 2, 8)', '+    width = choose.suggest_int("width", 2, 9)'],
        ),
    ],
)
def test_a_changed_definition_is_shown_and_refused_unless_forced(searchlab, path, before, after, shown):
    searchlab("run", "little", "--trials", 1)
    edit(path, before, after)
    refused = searchlab("resume", "little", "--trials", 2)
    assert set(shown) <= set(refused.out.splitlines())
    refused.fails("definition-changed", where="study little", mentions="--force")
    assert len(kept().records()) == 1
    assert searchlab("resume", "little", "--trials", 2, "--force").code == 0
    assert len(kept().records()) == 2
    assert searchlab("resume", "little", "--trials", 3).code == 0, "what was forced is what it is now"


@pytest.mark.slow
def test_a_larger_budget_in_the_file_is_no_change(searchlab):
    searchlab("run", "little")
    edit("studies/little.py", "trials=3", "trials=4")
    assert searchlab("resume", "little").code == 0
    assert len(kept().records()) == 4


# -- where a study's file lies


@pytest.mark.slow
def test_a_study_run_by_its_path_is_resumed_by_its_name_from_anywhere(searchlab, folder, monkeypatch):
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert searchlab("run", "../studies/little.py", "--trials", 1).code == 0
    assert searchlab("resume", "little", "--trials", 2).code == 0
    assert searchlab("resume", "../studies/little.py", "--trials", 3).code == 0
    edit("../studies/little.py", "thresholds_per_exit=11", "thresholds_per_exit=12")
    assert "+thresholds_per_exit = 12" in searchlab("resume", "little").out


@pytest.mark.slow
def test_a_study_whose_file_is_gone_goes_on_as_it_was_stored(searchlab):
    searchlab("run", "little", "--trials", 1)
    Path("studies/little.py").unlink()
    assert searchlab("resume", "little", "--trials", 2).code == 0
    assert len(kept().records()) == 2


@pytest.mark.slow
def test_a_name_of_ones_own_is_resumed_under_it(searchlab):
    searchlab("run", "little", "--name", "mine", "--trials", 1)
    assert searchlab("resume", "mine", "--trials", 2).code == 0
    assert len(kept(name="mine").records()) == 2


def test_one_thing_is_counted_as_one(searchlab):
    answer = searchlab("run", "little", "--trials", 1, "--epochs", 1)
    assert re.search(r"1 trial of 1 epoch\n", answer.out)


@pytest.mark.slow
def test_a_study_may_begin_where_another_ended(searchlab):
    searchlab("run", "little")
    given = ("--name", "warm", "--warm-start", "little", "--trials", 1, "--seed", 9)
    assert searchlab("run", "little", *given).code == 0
    best = study_front(kept().definition.study, kept().records())[0].record.number
    assert kept(name="warm").trials()[0].params == kept().trials()[best].params
    assert searchlab("resume", "warm", "--trials", 2).code == 0 and len(kept(name="warm").records()) == 2
    others = ("--name", "third", "--warm-start", "little", "--objectives", "accuracy,params")
    answer = searchlab("run", "little", *others)
    answer.fails("warm-start-mismatch", mentions="little")
    answer = searchlab("run", "little", "--name", "third", "--warm-start", "nobody")
    answer.fails("unknown-study", where="--warm-start", value="nobody", mentions="(known: little, warm)")


def test_a_warm_start_without_a_store_names_the_option(searchlab):
    answer = searchlab("run", "little", "--warm-start", "nobody")
    answer.fails("store-not-found", mentions=("--warm-start", "runs/studies.db"))
    assert answer.out == "" and not Path("runs").exists()


def test_how_to_go_on_names_every_option_that_matters():
    cluster = Cluster("head:6379", gpus_per_trial=0.25, storage_path="s3://bucket")
    where = RunOptions(Path("my data"), output=Path("out"), threads=3, cluster=cluster)
    plan = running.Plan(Definition(tiny_study(), tiny_study(), ""), None, where, None, "tune")
    assert running._again(plan) == (
        "searchlab resume tiny --runner tune --data 'my data' --output out"
        " --address head:6379 --gpus-per-trial 0.25 --storage-path s3://bucket"
    )
    assert running._again(replace(plan, where=RunOptions(), runner="local")) == "searchlab resume tiny"
