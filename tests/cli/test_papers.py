"""Studies that fill the table of a paper, several studies in one file, and smoke runs."""

import shutil
import signal
from pathlib import Path

import made_up_paper
import optuna
import pandas as pd
import pytest
from made_up_paper import PAPER, PUBLISHED
from raises import raises_code
from tiny import IMAGES

from searchlab.cli.main import main
from searchlab.errors import TrialFailure
from searchlab.model.cost import network_cost
from searchlab.papers.evaluation import evaluate_exits
from searchlab.papers.paper import Paper
from searchlab.search.paper_packages import import_part
from searchlab.search.store import stored_names, stored_study
from searchlab.study import RunOptions

STUDY = '''"""Two widths on two data sets."""

from searchlab.objective import accuracy, macs
from searchlab.study import Study


def study():
    return tuple(
        Study(
            space="little",
            data=data,
            objectives=(accuracy, macs),
            epochs=2,
            trials=2,
            scores=("margin",),
            thresholds_per_exit=11,
            paper="paper_made_up",
            max_images=100,
            enqueue={"narrow": {"width": 2, "rate": 0.1}, "wide": {"width": 6, "rate": 0.1}},
        )
        for data in ("digits", "synthetic")
    )
'''


@pytest.fixture(autouse=True)
def made_up(folder):
    Path("studies/papers/made_up").mkdir(parents=True)
    Path("studies/papers/made_up/tables.py").write_text(Path(made_up_paper.__file__).read_text())
    Path("studies/widths.py").write_text(STUDY)


def kept(name):
    return stored_study(name, RunOptions()).records()


def evaluated_by(monkeypatch, evaluate):
    """The made-up paper with another evaluation, or none."""
    tables = import_part("paper_made_up", "tables")
    monkeypatch.setattr(tables, "PAPER", Paper("On Widths", PAPER.tables, evaluate))


def names():
    return stored_names(RunOptions())


# -- tables


@pytest.mark.slow
def test_a_paper_is_run_evaluated_and_shown_ours_beside_theirs(searchlab):
    answer = searchlab("run", "widths")
    assert (answer.code, answer.err) == (0, "")
    assert sorted(names()) == ["widths-digits", "widths-synthetic"]
    assert "trial 1: evaluated for the table of paper_made_up ..." in answer.out
    assert answer.out.count("Table 1: widths") == 1 and "hypervolume" not in answer.out
    assert "trial 0: narrow, resnet 1-1 of width 2, exits after stages 0, 1" in answer.out

    payload = searchlab("table", "widths", "--json").json
    assert (payload["study"], payload["title"], payload["missing"]) == ("widths", "On Widths", [])
    (table,) = payload["tables"]
    assert [row[:3] for row in table["rows"]] == [
        [data, name, PUBLISHED[name]] for data in ("digits", "synthetic") for name in PUBLISHED
    ]
    for row, record in zip(table["rows"], kept("widths-digits") + kept("widths-synthetic"), strict=True):
        assert row[3].keys() == {"value", "low", "high"} and row[4] == record.cost.params
        assert (Path(record.directory) / "findings.json").is_file()
    shown = searchlab("table", "widths").out
    assert shown.rstrip() == answer.out[answer.out.index("Table 1") :].rstrip()


@pytest.mark.slow
def test_a_table_is_written_as_markdown_and_csv(searchlab):
    searchlab("run", "widths-digits")
    markdown = searchlab("table", "widths-digits", "--markdown", "--csv", "t.csv").out
    assert markdown.startswith("### Table 1: widths\n\n| data | width | accuracy % (paper) |")
    frame = pd.read_csv("t.csv")
    assert list(frame["accuracy % (paper)"]) == list(PUBLISHED.values())
    assert frame["accuracy %_low"].notna().all()
    answer = searchlab("table", "widths-digits", "--csv", "studies/little.py/where.csv")
    answer.fails("cannot-write", where="studies/little.py/where.csv")


@pytest.mark.slow
def test_what_is_missing_is_said_with_how_to_get_it(searchlab):
    nothing = searchlab("table", "widths")
    assert nothing.code == 0 and "95.67" in nothing.out and "–" in nothing.out
    assert "widths-digits was not run: searchlab run widths-digits" in nothing.out
    assert not Path("runs").exists()
    searchlab("run", "widths-digits", "--trials", 1)
    missing = searchlab("table", "widths", "--json").json["missing"]
    assert missing == [
        "not trained: wide: searchlab resume widths-digits --trials 2",
        "widths-synthetic was not run: searchlab run widths-synthetic",
    ]
    (Path(kept("widths-digits")[0].directory) / "findings.json").unlink()
    assert "not evaluated: trial 0: searchlab resume widths-digits" in searchlab("table", "widths-digits").out
    answer = searchlab("resume", "widths-digits", "--trials", 2)
    assert answer.code == 0 and "trial 0: evaluated" in answer.out and "trial 1: evaluated" in answer.out
    assert searchlab("table", "widths-digits", "--json").json["missing"] == []
    assert "evaluated" not in searchlab("resume", "widths-digits").out, "once per trial"


@pytest.mark.slow
def test_trials_that_did_not_complete_are_named_with_their_reason(searchlab):
    searchlab("run", "widths-digits", "--max-params", 800)
    (line,) = searchlab("table", "widths-digits", "--json").json["missing"]
    assert line.startswith("wide: infeasible, over the limit: params by")


@pytest.mark.slow
def test_a_paper_without_an_evaluation_lacks_nothing(searchlab, monkeypatch):
    evaluated_by(monkeypatch, None)
    searchlab("run", "widths-digits")
    assert searchlab("table", "widths-digits", "--json").json["missing"] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            TrialFailure("training-diverged", "the loss is nan in epoch 1: the training diverged"),
            "the loss is nan in epoch 1",
        ),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes\nand more"), "out of memory: Default"),
    ],
)
def test_an_evaluation_that_fails_is_said_in_a_line_and_the_others_go_on(searchlab, monkeypatch, error, said):
    def fails(subject):
        if subject.record.number == 0:
            raise error
        return evaluate_exits(subject)

    evaluated_by(monkeypatch, fails)
    answer = searchlab("run", "widths-digits")
    assert (answer.code, answer.err) == (0, "")
    assert f"trial 0: not evaluated: {said}" in answer.out
    assert "not evaluated: trial 0: searchlab resume widths-digits" in answer.out
    assert [(Path(record.directory) / "findings.json").is_file() for record in kept("widths-digits")] == [False, True]


@pytest.mark.slow
def test_ctrl_c_between_evaluations_keeps_what_was_found(searchlab, monkeypatch):
    def interrupted(subject):
        signal.raise_signal(signal.SIGINT)
        return evaluate_exits(subject)

    evaluated_by(monkeypatch, interrupted)
    answer = searchlab("run", "widths")
    assert answer.code == 130 and "To continue: searchlab resume widths-digits" in answer.out
    assert "Not begun: widths-synthetic." in answer.out
    found = [(Path(record.directory) / "findings.json").is_file() for record in kept("widths-digits")]
    assert found == [True, False]


@pytest.mark.slow
def test_killed_while_rows_are_enqueued_and_given_one_more_row_later_each_row_has_its_own_network(
    searchlab, monkeypatch
):
    """Sampled networks stood in the table under the names of rows."""
    add, left = optuna.Study.enqueue_trial, [1]

    def dies(study, *args, **more):
        if study.study_name.startswith("widths") and not left:
            raise KeyboardInterrupt
        if study.study_name.startswith("widths"):
            left.pop()
        add(study, *args, **more)

    file = Path("studies/widths.py")
    file.write_text(STUDY.replace('("digits", "synthetic")', '("digits",)'))
    with monkeypatch.context() as killed:
        killed.setattr(optuna.Study, "enqueue_trial", dies)
        assert searchlab("run", "widths").code == 130
    assert searchlab("resume", "widths").code == 0
    assert [(r.row, r.candidate.architecture.width) for r in kept("widths")] == [("narrow", 2), ("wide", 6)]

    text = file.read_text().replace("enqueue={", 'enqueue={"new": {"width": 8, "rate": 0.1}, ')
    file.write_text(text.replace("trials=2", "trials=3"))
    assert searchlab("resume", "widths").code == 2
    assert searchlab("resume", "widths", "--force").code == 0
    assert [(r.row, r.candidate.architecture.width) for r in kept("widths")][2:] == [("new", 8)]
    (table,) = searchlab("table", "widths", "--json").json["tables"]
    assert [row[1] for row in table["rows"] if row[3]] == ["narrow", "wide"]


@pytest.mark.slow
def test_a_study_whose_paper_is_gone_is_looked_at_all_the_same(searchlab):
    searchlab("run", "widths-digits", "--trials", 1)
    shutil.rmtree("studies/papers/made_up")
    assert searchlab("front", "widths-digits").code == searchlab("trials", "widths-digits").code == 0
    for command in ("table", "resume"):
        answer = searchlab(command, "widths-digits")
        answer.fails("unknown-paper", where="Study.paper", value="paper_made_up", mentions="did you mean ")


def test_a_mistake_in_a_papers_tables_comes_to_light_before_anything_is_trained(searchlab):
    with Path("studies/papers/made_up/tables.py").open("a") as file:
        file.write("\nfrom .evaluation import found\n")
    answer = searchlab("run", "widths")
    answer.fails("user-code-raised", mentions=["tables.py:32: ", "ModuleNotFoundError"])
    assert not Path("runs").exists()


# -- --params


@pytest.mark.slow
def test_params_need_no_run(searchlab):
    answer = searchlab("table", "widths", "--params", "--json").json
    assert [table["title"] for table in answer["tables"]] == [
        "widths-digits: little on digits",
        "widths-synthetic: little on synthetic",
    ]
    table = answer["tables"][0]
    assert table["columns"] == ["configuration", "parameters (paper)", "parameters", "MACs"]
    assert [row[:2] for row in table["rows"]] == [["narrow", "~1 k"], ["wide", None]]
    searchlab("run", "widths-digits")
    costs = [network_cost(record.candidate, IMAGES) for record in kept("widths-digits")]
    assert [row[2:] for row in table["rows"]] == [[cost.params, cost.macs] for cost in costs]


GOLDEN = """\
paper_limited: limited on cifar10
                   parameters
configuration      (paper)      parameters          MACs
Approach I         ~4.9 M        4,971,338   295,375,872
Approach II (a)    ~4.9 M        4,918,602   798,689,792
Approach II (b)    ~4.9 M        4,874,826   756,746,752
Approach III (a)   ~4.9 M        4,957,098   252,545,536
Approach III (b)   ~4.9 M        4,894,762   248,351,232
Approach IV        ~4.9 M        4,914,842   273,597,696
cap: 5,000,000 parameters
"""


def test_the_six_parameter_counts_of_paper_004(searchlab):
    answer = searchlab("table", "paper_limited", "--params")
    assert (answer.code, answer.err) == (0, "")
    assert "\n".join(line.rstrip() for line in answer.out.splitlines()) + "\n" == GOLDEN
    assert not Path("runs").exists()


# -- several studies in a file


def test_studies_lists_a_file_once_with_its_parts(searchlab):
    out = searchlab("studies").out
    assert out.count("widths: Two widths on two data sets") == 1
    assert "paper_gates-small" in out and "paper_gates-resnet50" in out, "what searchlab brings is run for its names"
    found = [(each["file"], each["name"]) for each in searchlab("studies", "--json").json["studies"]]
    assert ("paper_gates", "paper_gates-small") in found and ("little", "little") in found
    assert [name for file, name in found if file == "widths"] == [None], "its parts are named by code that is not run"


@pytest.mark.slow
def test_a_part_is_run_resumed_and_looked_at_by_its_name(searchlab):
    assert searchlab("run", "widths-synthetic", "--trials", 1).code == 0
    assert names() == ["widths-synthetic"]
    assert searchlab("resume", "widths-synthetic", "--trials", 2).code == 0
    assert len(kept("widths-synthetic")) == 2
    assert searchlab("front", "widths-synthetic", "--json").json["study"] == "widths-synthetic"
    test = searchlab("front", "widths-synthetic", "--test", "--json").json["points"]
    assert test and all(point["test_accuracy"] for point in test)
    text = Path("studies/widths.py").read_text()
    Path("studies/widths.py").write_text(text.replace('"synthetic")', '"mnist")'))
    answer = searchlab("resume", "widths-synthetic", "--trials", 3)
    answer.fails("unknown-study", value="widths-synthetic")


def test_a_mistake_in_any_part_comes_to_light_before_the_first_is_trained(searchlab):
    text = Path("studies/widths.py").read_text()
    Path("studies/widths.py").write_text(text.replace('"synthetic")', '"mnist")'))
    answer = searchlab("run", "widths")
    answer.fails("data-missing", mentions="--download")
    assert not Path("runs/studies.db").exists()


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (
            ["run", "widths", "--name", "x"],
            raises_code("several-studies", where="--name", value="x", mentions="widths-digits"),
        ),
        (["run", "widths-mnist"], raises_code("unknown-study", value="widths-mnist")),
        (
            ["table", "little"],
            raises_code("no-table", where="study little", mentions="see `searchlab front little`, or --params"),
        ),
        (["table", "little", "--params"], raises_code("no-table", where="study little")),
        (["table", "nope"], raises_code("unknown-study", value="nope")),
        (["table", "nope", "--params"], raises_code("unknown-study", value="nope")),
    ],
)
def test_mistakes(searchlab, arguments, refused):
    answer = searchlab(*arguments)
    assert answer.code == 2
    refused.check_printed(answer.err)


@pytest.mark.slow
def test_more_mistakes(searchlab):
    searchlab("run", "widths-digits", "--trials", 1)
    answer = searchlab("resume", "studies/widths.py")
    answer.fails("several-studies", value="studies/widths.py", mentions="widths-digits")
    Path("studies/odd.py").write_text(
        Path("studies/little.py").read_text().replace("thresholds_per_exit=11", "paper='paper_nowhere'")
    )
    answer = searchlab("run", "odd")
    answer.fails("unknown-paper", where="Study.paper", value="paper_nowhere", mentions="did you mean ")


# -- smoke runs


@pytest.mark.slow
def test_a_smoke_run_is_small_apart_and_begun_afresh_every_time(searchlab):
    searchlab("run", "widths-digits", "--trials", 1)
    before = kept("widths-digits")
    for _ in range(2):
        answer = searchlab("run", "widths", "--smoke")
        assert (answer.code, answer.err) == (0, "")
        assert "study widths-digits-smoke: little on digits, 2 trials of 1 epoch" in answer.out
        assert "Table 1: widths" in answer.out
        assert len(kept("widths-digits-smoke")) == len(kept("widths-synthetic-smoke")) == 2
        assert not Path("runs/widths-digits-smoke/left.txt").exists()
        assert not Path("runs/widths-digits-smoke/trial-00007").exists()
        Path("runs/widths-digits-smoke/left.txt").touch()
        Path("runs/widths-digits-smoke/trial-00007").mkdir()
    assert kept("widths-digits") == before
    table = searchlab("table", "widths-smoke", "--json").json
    assert table["missing"] == [] and all(row[3] for row in table["tables"][0]["rows"])
    assert "widths-synthetic was not run" in searchlab("table", "widths").out
    assert "searchlab run widths-digits --smoke" in searchlab("table", "widths-digits-smoke", "--output", "other").out


@pytest.mark.slow
def test_a_smoke_run_of_a_search_takes_three_trials_and_shows_a_front(searchlab):
    answer = searchlab("run", "little", "--smoke", "--name", "mine")
    assert answer.code == 0 and "hypervolume" in answer.out
    assert names() == ["mine-smoke"] and len(kept("mine-smoke")) == 3
    assert stored_study("mine-smoke", RunOptions()).definition.study.max_images == 400


@pytest.mark.slow
def test_digits_stand_in_for_files_that_are_missing_in_smoke_runs_alone(searchlab):
    text = Path("studies/little.py").read_text()
    Path("studies/little.py").write_text(text.replace('"digits"', '"mnist"'))
    assert searchlab("run", "little").code == 2
    answer = searchlab("run", "little", "--smoke")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("data set mnist not found in data: digits_28x28 (built into searchlab) replaces it\n")
    assert stored_study("little-smoke", RunOptions()).definition.study.data == "digits_28x28"
    assert searchlab("front", "little-smoke", "--test").code == 0, "the stored study says where its images are"


@pytest.mark.slow
def test_a_smoke_run_leaves_a_study_alone_that_searchlab_did_not_make(searchlab):
    searchlab("run", "little", "--trials", 1)
    # One without a trial could be ours, whose process died before it was defined: that may be begun again.
    optuna.create_study(storage="sqlite:///runs/studies.db", study_name="little-smoke").ask()
    answer = searchlab("run", "little", "--smoke")
    answer.fails("foreign-study", mentions="'little-smoke'")
    assert main(["front", "little"]) == 0
