"""A paper of the user's: a folder `studies/papers/mine` of the same shape as those that searchlab brings."""

from pathlib import Path

import pytest

FILES = {
    "study.py": '''"""Widths of a little network."""

from searchlab import Study, accuracy, macs


def study():
    return Study(
        space="mine",
        data="digits",
        objectives=(accuracy, macs),
        epochs=1,
        trials=2,
        max_images=100,
        scores=("margin",),
        thresholds_per_exit=11,
        enqueue={"narrow": {"width": 2}, "wide": {"width": 4}},
        paper="paper_mine",
    )
''',
    "space.py": '''"""One block of some width."""

from searchlab import Candidate, Exit, ResNet


def space(choose):
    return Candidate(ResNet((1, 1), choose.suggest_int("width", 2, 8)), (Exit(0),))
''',
    "tables.py": '''"""Table 1 of mine."""

from searchlab import Paper, Table
from searchlab.lab import percent_right

from .evaluation import evaluate

PUBLISHED = {"narrow": 91.5, "wide": 95.67}


def tables(studies):
    (finished,) = studies
    rows = []
    for name, published in PUBLISHED.items():
        found = finished.found(name)
        rows.append((name, published, percent_right(found) if found else None, found and found["twice"]))
    return (Table("Table 1: widths", ("width", "accuracy % (paper)", "accuracy %", "twice"), tuple(rows)),)


PAPER = Paper("On Widths", tables, evaluate, {"narrow": "~1 k"})
''',
    "evaluation.py": '''"""What is found about a width."""

from searchlab import Findings, Subject
from searchlab.lab import evaluate_exits


def evaluate(subject: Subject) -> Findings:
    return evaluate_exits(subject) | {"twice": 2 * subject.record.candidate.architecture.width}
''',
}


@pytest.fixture(autouse=True)
def mine(folder):
    place = Path("studies/papers/mine")
    place.mkdir(parents=True)
    for name, text in FILES.items():
        (place / name).write_text(text)
    return place


@pytest.mark.slow
def test_a_paper_of_the_users_is_listed_run_evaluated_and_shown(searchlab):
    listed = searchlab("studies", "--json").json["studies"]
    assert [(each["file"], each["name"]) for each in listed if each["file"] == "paper_mine"] == [("paper_mine",) * 2]
    assert "One block of some width" in searchlab("spaces").out
    nothing = searchlab("table", "paper_mine", "--params", "--json").json
    assert nothing["tables"][0]["title"] == "paper_mine: mine on digits"

    answer = searchlab("run", "paper_mine")
    assert (answer.code, answer.err) == (0, "")
    assert "trial 1: evaluated for the table of paper_mine" in answer.out and "Table 1: widths" in answer.out
    payload = searchlab("table", "paper_mine", "--json").json
    assert (payload["title"], payload["missing"]) == ("On Widths", [])
    assert [row[3] for row in payload["tables"][0]["rows"]] == [4, 8], "its own evaluation was kept beside the trials"
    assert searchlab("resume", "paper_mine").code == 0, "its study and space are found again"


def test_a_mistake_in_the_evaluation_is_told_with_its_line_before_anything_is_trained(searchlab, mine):
    (mine / "evaluation.py").write_text("evaluate = nothing\n")
    answer = searchlab("run", "paper_mine")
    answer.fails("user-code-raised", where="studies/papers/mine/evaluation.py:1", mentions="NameError: name 'nothing'")
    assert not Path("runs").exists()


@pytest.fixture
def elsewhere(mine, folder, monkeypatch) -> Path:
    """Another working folder; returns the relative path of the study's file."""
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    return Path("../studies/papers/mine/study.py")


@pytest.mark.slow
def test_a_paper_run_by_path_from_another_folder_finds_its_tables(searchlab, elsewhere):
    assert searchlab("table", elsewhere, "--params").code == 0
    answer = searchlab("run", elsewhere, "--trials", 1)
    assert (answer.code, answer.err) == (0, "")
    assert "trial 0: evaluated for the table of paper_mine" in answer.out and "Table 1: widths" in answer.out
    assert searchlab("table", "paper_mine", "--json").json["title"] == "On Widths", "the store knows the file"
    assert searchlab("table", elsewhere, "--json").json["title"] == "On Widths"
    answer = searchlab("resume", "--trials", 2)
    assert answer.code == 0 and "trial 1: evaluated for the table of paper_mine" in answer.out


def test_a_copy_of_a_paper_run_by_path_uses_its_own_tables(searchlab, mine, elsewhere):
    mine = mine.absolute() if mine.is_absolute() else Path("..") / mine
    copy = mine.rename(mine.parent / "limited")
    study = copy / "study.py"
    study.write_text(study.read_text().replace('"mine"', '"limited"').replace("paper_mine", "paper_limited"))
    assert searchlab("table", study, "--json").json["title"] == "On Widths"


def test_a_paper_that_is_nowhere_is_one_line_that_names_the_folders_beside_the_study(searchlab, mine, elsewhere):
    (elsewhere.parent / "tables.py").unlink()
    answer = searchlab("run", elsewhere)
    answer.fails("unknown-paper", where="Study.paper", value="paper_mine", mentions="studies/papers")
    assert not Path("runs").exists()
