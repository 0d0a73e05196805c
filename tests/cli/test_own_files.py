"""The guide's "How to add": a data set, a score and a sampler, in files of one's own and in the package's dicts."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from optuna.samplers import RandomSampler
from raises import raises_code

from searchlab.data.datasets import DATASETS, synthetic_images
from searchlab.data.splits import assemble, three_way
from searchlab.deploy.scores import OWN_FUNCTIONS, SCORE_FUNCTIONS
from searchlab.exits.scores import OWN_SCORES, SCORES
from searchlab.record import Seconds
from searchlab.search.samplers import SAMPLERS
from searchlab.search.store import stored_study
from searchlab.study import RunOptions

GUIDE = Path(__file__).parents[2] / "docs/guide/extend.md"
NAMED = {"data": "./pets.py", "scores": ("./ratio.py",), "sampler": "./mine.py"}

STUDY = """from searchlab.objective import accuracy, macs
from searchlab.study import Study

def study():
    return Study("little", objectives=(accuracy, macs), epochs=1, trials=2, thresholds_per_exit=5, **{fields})
"""


def write_study(name: str, **fields) -> None:
    Path("studies", f"{name}.py").write_text(STUDY.format(fields=fields))


@pytest.fixture
def own(folder):
    """The guide's files beside a study that names them."""
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    assert [name for name, _ in blocks] == ["pets.py", "ratio.py", "mine.py"]
    for name, text in blocks:
        Path("studies", name).write_text(text)
    images = synthetic_images(120, seed=0)
    np.savez("studies/pets.npz", images=images.images_NCHW.numpy(), labels=images.labels_N.numpy() % 3)
    write_study("own", **NAMED)
    yield folder
    OWN_SCORES.clear()
    OWN_FUNCTIONS.clear()


def good(answer):
    assert (answer.code, answer.err) == (0, "")
    return answer


def forget() -> None:
    """As in a new process."""
    OWN_SCORES.clear()
    OWN_FUNCTIONS.clear()


@pytest.mark.slow
def test_a_data_set_a_score_and_a_sampler_in_files_as_the_guide_says(searchlab, own):
    assert "study own: little on ./pets.py" in good(searchlab("run", "own")).out
    for command in (("front", "--test"), ("replicate", "--seeds", 1, "--points", 1), ("resume", "own", "--trials", 3)):
        forget()
        good(searchlab(*command))
    records = stored_study("own", RunOptions(output=Path("runs"))).records()
    assert len(records) == 3
    assert {point.rule.score for record in records for point in record.frontier.points} == {"ratio"}


@pytest.mark.slow
def test_front_test_and_replicate_need_the_files_no_more(searchlab, own, monkeypatch):
    good(searchlab("run", "own"))
    forget()
    for name in ("own.py", "pets.py", "ratio.py", "mine.py"):
        Path("studies", name).unlink()
    good(searchlab("front", "--test"))
    forget()
    good(searchlab("replicate", "--seeds", 1, "--points", 1))
    forget()
    good(searchlab("resume", "own", "--trials", 3))


@pytest.mark.slow
def test_a_study_that_moved_with_its_files_goes_on(searchlab, own):
    good(searchlab("run", "own"))
    forget()
    Path("studies").rename("moved")
    good(searchlab("resume", "moved/own.py", "--trials", 3))


@pytest.mark.slow
def test_a_changed_file_is_shown_and_refused_unless_forced(searchlab, own):
    good(searchlab("run", "own"))
    for name in ("pets.py", "ratio.py", "mine.py"):
        with Path("studies", name).open("a") as file:
            file.write("\n# changed\n")
        refused = searchlab("resume", "own", "--trials", 3)
        refused.fails("definition-changed")
        assert {f"--- ./{name}, stored", f"+++ ./{name}, now", "+# changed"} <= set(refused.out.splitlines())
    good(searchlab("resume", "own", "--trials", 3, "--force"))
    good(searchlab("resume", "own", "--trials", 4))


@pytest.mark.slow
def test_a_sampler_file_on_the_command_line_is_found_again_from_elsewhere(searchlab, own, monkeypatch):
    good(searchlab("run", "little", "--trials", 1, "--sampler", "studies/mine.py"))
    (own / "elsewhere").mkdir()
    monkeypatch.chdir(own / "elsewhere")
    good(searchlab("resume", "little", "--output", "../runs", "--trials", 2))
    with (own / "studies/mine.py").open("a") as file:
        file.write("\n# changed\n")
    assert "+# changed" in searchlab("resume", "little", "--output", "../runs", "--trials", 3).out


@pytest.mark.slow
def test_a_study_that_names_no_files_is_the_same_with_them_in_the_package(searchlab, own, monkeypatch):
    """The other way of the guide: one function and one line in a dict."""
    scope: dict = {}
    exec(Path("studies/ratio.py").read_text(), scope)
    images = synthetic_images(120, seed=0)
    images = replace(images, labels_N=images.labels_N % 3)
    names = ("cat", "dog", "hamster")
    monkeypatch.setitem(DATASETS, "pets", lambda root, download: assemble("pets", three_way(images, names), names))
    monkeypatch.setitem(SCORES, "ratio_", scope["score"])
    monkeypatch.setitem(SCORE_FUNCTIONS, "ratio_", scope["score_torch"])
    monkeypatch.setitem(SAMPLERS, "mine", lambda seed: RandomSampler(seed=seed))
    write_study("package", data="pets", scores=("ratio_",), sampler="mine")
    write_study("files", data="./pets.py", scores=("./ratio.py",), sampler="./mine.py")
    sampler = "from optuna.samplers import RandomSampler\ndef sampler(seed): return RandomSampler(seed)"
    Path("studies/mine.py").write_text(sampler)
    found = []
    for name in ("package", "files"):
        good(searchlab("run", name))
        records = stored_study(name, RunOptions(output=Path("runs"))).records()
        own = {"seconds": Seconds(), "directory": "", "output": "", "frontier": None}
        found.append([replace(r, **own, data=replace(r.data, name="")) for r in records])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"data": "./nowhere.py"}, raises_code("path-not-found", mentions="nowhere.py")),
        ({"scores": ("./pets.py",)}, raises_code("missing-function", where="studies/pets.py", mentions="score()")),
        ({"sampler": "./ratio.py"}, raises_code("missing-function", where="studies/ratio.py", mentions="sampler()")),
        (
            {"data": "./broken.py"},
            raises_code("user-code-raised", where="studies/broken.py:2", mentions="ZeroDivisionError"),
        ),
    ],
)
def test_a_mistake_in_a_file_is_one_line_before_any_training(searchlab, own, fields, refused):
    Path("studies/broken.py").write_text("def dataset(root, download):\n    1 / 0\n")
    write_study("own", **NAMED | fields)
    answer = searchlab("run", "own")
    assert answer.code == 2
    refused.check_printed(answer.err)
    assert not Path("runs/studies.db").exists()


def test_files_that_studies_name_are_no_broken_studies(searchlab, own):
    Path("studies/renamed.py").write_text("from searchlab.data.datasets import synthetic as dataset")
    Path("studies/empty.py").touch()
    answer = searchlab("studies", "--json")
    listed = {each["file"] for each in answer.json["studies"]}
    assert answer.code == 0 and {"own", "little"} <= listed and not {"pets", "ratio", "mine", "renamed"} & listed
    assert answer.err.count("omitted: ") == 1 and "empty.py: " in answer.err and "study()" in answer.err
