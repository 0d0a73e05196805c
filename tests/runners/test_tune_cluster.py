"""Ray Tune as a runner, on real clusters of several nodes on this machine; nodes and processes are lost on purpose."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from safetensors.torch import save_file
from slow_trials import HOLD, LOST_NODE, slow_trial
from tiny import Seen, tiny_space, tiny_study
from torchvision.models import get_model

from searchlab.architecture import Torchvision
from searchlab.data.splits import limited
from searchlab.errors import UserError
from searchlab.front.pareto import hypervolume
from searchlab.front.points import reference_of, scaled_values
from searchlab.runners import cluster as way_in
from searchlab.runners.local import run_local
from searchlab.search.driver import Driver, Problem
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore
from searchlab.study import Cluster, RunOptions

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

STUDY = tiny_study(trials=24, epochs=4, rungs=(1, 2, 3), early_stopping="moasha")

WEIGHTS = "begin.safetensors"
"""File of initial weights, in the driver's working folder."""


@pytest.fixture(scope="module", autouse=True)
def environment():
    """What the way in sets, and nothing of it afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        # Ray's sockets lie below it, and their paths may have 107 characters.
        own = {"RAY_prestart_worker_first_driver": "0", "RAY_TMPDIR": "/tmp"}
        for name, value in (way_in.TUNE | own).items():
            patch.setenv(name, value)
        # Workers and drivers of their own find `slow_trials` and `tiny` there.
        here = Path(__file__).parent
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, [here, here.parent, os.environ.get("PYTHONPATH", "")])))
        yield


@pytest.fixture(scope="module")
def few(digits):
    return limited(digits, 100)


@pytest.fixture
def nodes():
    """Three nodes of one core each; the driver is on the first."""
    import ray
    from ray.cluster_utils import Cluster as Nodes

    made = Nodes(initialize_head=True, head_node_args={"num_cpus": 1})
    others = [made.add_node(num_cpus=1) for _ in range(2)]
    yield made, others
    ray.shutdown()
    made.shutdown()


def published_space(choose):
    """Small networks, and one of torchvision's that begins with weights in a file of the working folder."""
    candidate = tiny_space(choose)
    if candidate.architecture.width < 8:
        return candidate
    return replace(candidate, architecture=Torchvision("shufflenet_v2_x0_5", ("conv1", "maxpool"), WEIGHTS))


def driver_of(study, tmp_path, few, kind=Driver, space=tiny_space, **cluster):
    options = RunOptions(output=tmp_path / "runs", device="cpu", threads=1, cluster=Cluster(**cluster))
    url = options.storage_url
    definition = Definition(study, study, "the space's text")
    store = StudyStore.create(definition, open_storage(url, create=True), url)
    return kind(Problem(study, space, few.spec), store, options, "cpu", Seen())


class Unlucky(Driver):
    """A driver that loses a worker at the fifth checkpoint and a node at the tenth, or soon after.

    They are lost with a trial that has epochs before it: one that ends at the rung may have ended before they are gone.
    """

    def __post_init__(self):
        super().__post_init__()
        self.checkpoints, self.killed, self.removed, self.ending = [], None, None, set()

    def on_rung(self, number, epoch, frontier):
        goes_on = super().on_rung(number, epoch, frontier)
        if not goes_on:
            self.ending.add(number)
        return goes_on

    def on_checkpoint(self, number, path):
        super().on_checkpoint(number, path)
        self.checkpoints.append((number, path))
        there = json.loads((self.folder / f"{number}.json").read_text())
        if number in self.ending:
            return
        if self.killed is None and len(self.checkpoints) >= 5:
            os.kill(there["pid"], signal.SIGKILL)
            self.killed = (number, there["epoch"])
        elif self.removed is None and len(self.checkpoints) >= 10 and there["node"] in self.nodes:
            (self.folder / LOST_NODE).write_text(there["node"])
            self.made.remove_node(self.nodes[there["node"]], allow_graceful=False)
            self.removed = (number, there["epoch"])


def test_a_node_and_a_process_are_lost_and_no_trial_is(nodes, few, tmp_path, caplog, monkeypatch):
    """Workers have another working folder: a relative path to initial weights means the driver's file nevertheless."""
    from searchlab.runners.tune.run import run_on_tune

    made, others = nodes
    monkeypatch.chdir(tmp_path)
    save_file(get_model("shufflenet_v2_x0_5", num_classes=10).state_dict(), WEIGHTS)
    driver = driver_of(STUDY, tmp_path, few, Unlucky, published_space, address=made.address)
    driver.made, driver.nodes = made, {node.node_id: node for node in others}
    driver.folder = tmp_path / "places"
    driver.folder.mkdir()
    with caplog.at_level(logging.WARNING, "searchlab"):
        run_on_tune(driver, few, partial(slow_trial, driver.folder))
    assert driver.killed and driver.removed
    records = driver.store.records()
    assert [record.number for record in records] == list(range(24))
    assert {record.state for record in records} == {"complete", "stopped"}, [r.reason for r in records]
    published = [r.candidate.architecture.weights for r in records if r.candidate.architecture.kind == "torchvision"]
    assert set(published) == {WEIGHTS}
    assert sorted(record.number for record in driver.records) == list(range(24))
    assert sum(note[0] == "start" for note in driver.watch.notes) == 24
    for number, epoch in (driver.killed, driver.removed):
        expected = f"restarted from the rung at epoch {epoch}"
        assert any(line.startswith(f"trial {number}: ") and expected in line for line in caplog.messages), caplog.text
        epochs = [note[2] for note in driver.watch.notes if note[:2] == ("epoch", number)]
        assert [each for each in epochs if each <= epoch] == list(range(1, epoch + 1)), "what was saved is not repeated"
    for record in records:
        assert os.path.isfile(f"{record.directory}/weights.safetensors")
    assert not [path for _, path in driver.checkpoints if os.path.exists(path)], "no checkpoint is left"


def test_one_at_a_time_on_ray_is_as_in_this_process(few, tmp_path):
    from searchlab.runners.tune.run import run_on_tune

    study = replace(STUDY, trials=8, sampler="tpe")
    here, there = (driver_of(study, tmp_path / name, few, concurrent=1) for name in ("here", "there"))
    run_local(here, few)
    run_on_tune(there, few)
    one, other = ([(r.number, r.state, r.candidate, r.frontier, r.reason) for r in d.records] for d in (here, there))
    assert one == other
    assert [point for _, point in here.history.front] == [point for _, point in there.history.front]


def test_a_driver_that_is_killed_is_gone_on_with_from_the_rungs(tmp_path):
    import study_process

    command, hold = [sys.executable, study_process.__file__, str(tmp_path)], tmp_path / HOLD
    hold.touch()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _wait_for(lambda: len(_finished(tmp_path)) >= 3 and _saved(tmp_path))
        process.kill()
    hold.unlink()
    before = study_process.driver_in(tmp_path, begin=False)
    unfinished, front = _saved(tmp_path), before.history.front
    driver = study_process.driver_in(tmp_path, begin=False)
    study_process.run(driver, tmp_path)
    assert [record.number for record in driver.store.records()] == list(range(8))
    assert {record.state for record in driver.store.records()} == {"complete", "stopped"}
    for number, epoch in unfinished.items():
        epochs = [note[2] for note in driver.watch.notes if note[:2] == ("epoch", number)]
        assert epochs == [] or epochs[0] == epoch + 1
    points, objectives = [point for _, point in front], driver.study.objectives
    before_PM = scaled_values(points, objectives, driver.history.cost_scales)
    assert driver.history.hypervolume >= hypervolume(before_PM, reference_of(objectives)) > 0


def _wait_for(condition) -> None:
    until = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < until
        Event().wait(0.1)


def _finished(folder: Path) -> list[int]:
    url = f"sqlite:///{folder}/runs/studies.db"
    if not (folder / "runs" / "studies.db").exists():
        return []
    try:
        trials = StudyStore.load("tiny", open_storage(url, create=False), url).trials()
    except UserError:
        return []
    return [trial.number for trial in trials if trial.state.is_finished()]


def _saved(folder: Path) -> dict[int, int]:
    """Unfinished trials that can be taken up, and at which epoch."""
    url = f"sqlite:///{folder}/runs/studies.db"
    trials = StudyStore.load("tiny", open_storage(url, create=False), url).trials()
    left = {
        trial.number: Path(trial.user_attrs["checkpoint"]) / "state.json"
        for trial in trials
        if not trial.state.is_finished() and "checkpoint" in trial.user_attrs
    }
    return {number: json.loads(path.read_text())["notes"]["epoch"] for number, path in left.items() if path.exists()}
