import json
from pathlib import Path

import pytest
from raises import raises_code

from searchlab.front.history import SearchHistory
from searchlab.search.store import StudyStore, stored_study
from searchlab.study import RunOptions


def kept(name: str = "little") -> StudyStore:
    return stored_study(name, RunOptions())


def ending(answer) -> str:
    assert (answer.code, answer.err) == (0, "")
    (line,) = [line for line in answer.out.splitlines() if line.startswith("Ended: ")]
    return line


@pytest.mark.slow
def test_a_run_says_what_ended_it_and_what_it_spent(searchlab):
    answer = searchlab("run", "little")
    assert ending(answer).startswith("Ended: 3 of 3 trials. Hypervolume 0.")
    assert "after 6 epochs; training spent: " in ending(answer)
    assert ending(answer).endswith("k (epochs × MACs per image).")
    assert "  [2 of 3]" in answer.out


@pytest.mark.slow
def test_another_limit_lifts_that_of_the_study_on_trials(searchlab):
    answer = searchlab("run", "little", "--epochs", 1, "--epochs-total", 5)
    assert "trials of 1 epoch, 5 epochs in all" in answer.out and "[2 trials, 2 of 5 epochs]" in answer.out
    assert ending(answer).startswith("Ended: 5 of 5 epochs are trained.")
    assert len(kept().records()) == 5
    study = kept().definition.study
    assert (study.trials, study.most_trials, study.epochs_total) == (None, None, 5)
    both = searchlab("resume", "little", "--trials", 6, "--epochs-total", 9)
    assert ending(both).startswith("Ended: 6 of 6 trials.")
    assert ending(searchlab("resume")).startswith("Ended: 6 of 6 trials.")
    assert ending(searchlab("resume", "--epochs-total", 7)).startswith("Ended: 7 of 7 epochs are trained.")
    assert ending(searchlab("resume", "--hours", 0.0001)).startswith("Ended: 7 of 7 epochs are trained")


@pytest.mark.slow
def test_a_study_that_only_trains_what_it_enqueues_goes_on_to_do_so(searchlab):
    text = Path("studies/little.py").read_text()
    listed = "trials=2, enqueue=({'width': 2, 'rate': 0.1}, {'width': 3, 'rate': 0.1}),"
    Path("studies/little.py").write_text(text.replace("trials=3,", listed))
    assert ending(searchlab("run", "little", "--hours", 1)).startswith("Ended: 2 of 2 trials.")


@pytest.mark.slow
def test_until_it_stalls(searchlab):
    answer = searchlab("run", "little", "--until-stalled", 2, "--epochs", 1)
    assert "trials of 1 epoch, until stalled for 2 trials" in answer.out and "stalled for 2 of 2]" in answer.out
    assert "Ended: stalled: the last 2 trained trials added 0." in ending(answer)
    assert ending(searchlab("resume")) == ending(answer)


@pytest.mark.parametrize(
    ("option", "value", "refused"),
    [
        ("--epochs-total", "0", raises_code("invalid-usage", where="--epochs-total", value="0")),
        ("--epochs-total", "many", raises_code("invalid-usage", where="--epochs-total", value="many")),
        ("--until-stalled", "-1", raises_code("invalid-usage", where="--until-stalled", value="-1")),
        ("--until-stalled", "1.5", raises_code("invalid-usage", where="--until-stalled", value="1.5")),
        ("--hours", "-1", raises_code("invalid-field", where="--hours", value="-1")),
        ("--hours", "nan", raises_code("invalid-field", where="--hours", value="nan")),
    ],
)
def test_a_limit_that_is_none_is_one_line(searchlab, option, value, refused):
    answer = searchlab("run", "little", option, value)
    assert answer.code == 2
    refused.check_printed(answer.err)
    assert not Path("runs/studies.db").exists()


@pytest.mark.slow
def test_growth_and_importances_are_plotted_in_place_of_the_front(searchlab):
    searchlab("run", "little", "--epochs", 1, "--trials", 10)
    answer = searchlab("plot", "little", "--hypervolume", "--importance")
    names = ["hypervolume.html", "hypervolume.png", "importance.html", "importance.png"]
    assert (answer.code, answer.out.split()) == (0, [f"runs/little/{name}" for name in names])
    assert all(Path("runs/little", name).is_file() for name in names) and not Path("runs/little/front.html").exists()
    answer = searchlab("plot", "little", "--hypervolume", "--importance", "--json")
    plotted = json.loads(answer.out, parse_constant=lambda text: pytest.fail(text))
    steps = SearchHistory(kept().definition.study, kept().ended()).steps
    assert [row["hypervolume"] for row in plotted["hypervolume"]["steps"]] == [step.hypervolume for step in steps]
    assert plotted["hypervolume_html"] == "runs/little/hypervolume.html"
    assert plotted["importance"]["trials"] == 10
    assert plotted["importance"]["shares"]["MACs"].keys() == {"width", "rate"}


@pytest.mark.slow
def test_too_few_trials_for_importances_are_one_line(searchlab):
    searchlab("run", "little", "--epochs", 1, "--trials", 1)
    answer = searchlab("plot", "little", "--importance")
    answer.fails("no-results", value=1, mentions="at least 10")
