"""What a cluster that cannot run a study is told about, in one line; no Ray is started here."""

import importlib.util
import socket
from dataclasses import replace
from io import BytesIO

import pytest
import ray
from raises import raises_code
from tiny import tiny_study

from searchlab.data.shared import OnNode
from searchlab.record import Machine, TimeUnit
from searchlab.runners.cluster import run_tune
from searchlab.runners.tune import cluster as cluster_module
from searchlab.runners.tune import preflight
from searchlab.runners.tune.cluster import connected, slots_of
from searchlab.runners.tune.preflight import NodeReport, PreflightRequest, checked_here, machine_nodes
from searchlab.study import Cluster, RunOptions

EPYC = Machine("cpu", "AMD EPYC 9B14", 1, "", "2.15", "3.11")
XEON = replace(EPYC, name="Intel Xeon")


def join(address, error, monkeypatch):
    def init(**options):
        raise error

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(socket, "create_connection", lambda where, timeout: BytesIO())
    with connected(RunOptions(cluster=Cluster(address)), 0):
        pass


def test_no_cluster_at_the_address(monkeypatch):
    mentions = ["HOST:PORT", "`ray start --head`", "auto"]
    with raises_code("cluster-not-found", where="--address", value="10.0.0.1:6379", mentions=mentions):
        join("10.0.0.1:6379", ConnectionError("failed\nto connect"), monkeypatch)


def test_ray_client_is_refused(monkeypatch):
    with raises_code("cluster-not-found", value="ray://head:10001"):
        join("ray://head:10001", AssertionError, monkeypatch)


def test_a_cluster_of_another_version(monkeypatch):
    # As Ray words it.
    mismatch = (
        "Version mismatch: The cluster was started with:\n    Ray: 2.50.0\n    Python: 3.10.4\n"
        "This process on node 10.0.0.2 was started with:\n    Ray: 2.60.0\n    Python: 3.11.7\n"
    )
    with raises_code("version-differs", where="--address", value="Ray: 2.50.0, Python: 3.10.4", mentions="here Ray"):
        join("10.0.0.1:6379", RuntimeError(mismatch), monkeypatch)


def slots(monkeypatch, *there, device="auto", **cluster):
    monkeypatch.setattr(cluster_module, "alive", lambda: [{"Resources": resources} for resources in there])
    return slots_of(RunOptions(device=device, cluster=Cluster(**cluster)))


def test_more_than_any_node_has(monkeypatch):
    where, there = "--cpus-per-trial, --gpus-per-trial", "2 CPUs, 0 GPUs; 4 CPUs, 0 GPUs"
    with raises_code("insufficient-resources", where=where, value="6 CPUs, 0 GPUs", mentions=there):
        slots(monkeypatch, {"CPU": 4.0}, {"CPU": 2.0}, cpus_per_trial=6)
    with raises_code("insufficient-resources", where=where, value="4 CPUs, 2 GPUs"):
        slots(monkeypatch, {"CPU": 8.0}, {"CPU": 2.0, "GPU": 2.0}, cpus_per_trial=4, gpus_per_trial=2)


@pytest.mark.parametrize(
    ("there", "asked", "room", "threads"),
    [
        (({"CPU": 4.0}, {"CPU": 2.0}, {"memory": 1.0}), {}, 6, 1),
        (({"CPU": 4.0}, {"CPU": 3.0}), {"cpus_per_trial": 2}, 3, 2),
        (({"CPU": 2.0},), {"cpus_per_trial": 0.5}, 4, 1),
        (({"CPU": 2.0},), {"concurrent": 1}, 1, 1),
        (({"CPU": 16.0, "GPU": 2.0}, {"CPU": 64.0}), {}, 2, 1),
        (({"CPU": 16.0, "GPU": 2.0},), {"gpus_per_trial": 0.25}, 8, 1),
        (({"CPU": 16.0, "GPU": 2.0},), {"gpus_per_trial": 0.4}, 4, 1),
        (({"CPU": 16.0, "GPU": 4.0},), {"gpus_per_trial": 2, "cpus_per_trial": 8}, 2, 8),
        (({"CPU": 16.0, "GPU": 2.0},), {"device": "cpu"}, 16, 1),
    ],
)
def test_as_many_trials_as_there_is_room_for(there, asked, room, threads, monkeypatch):
    found = slots(monkeypatch, *there, **asked)
    assert (found.concurrent, found.threads) == (room, threads)
    assert found.device == ("cuda" if found.gpus else "cpu")


def test_a_node_without_the_data(tmp_path):
    with raises_code("data-missing", mentions="nowhere"):
        checked_here(PreflightRequest("cpu", 1, OnNode("cifar10", tmp_path / "nowhere", None, ""), ""))


def test_a_storage_path_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with raises_code("cannot-write", where="--storage-path", mentions="in/here"):
        checked_here(PreflightRequest("cpu", 1, None, f"{tmp_path}/file/in/here"))


def test_a_storage_path_that_is_another_folder_elsewhere(tmp_path):
    here, there = (str(tmp_path / name) for name in ("here", "there"))
    asked = [
        (PreflightRequest("cpu", 1, None, place), NodeReport(name, "node"))
        for place, name in ((here, "a"), (there, "b"))
    ]
    answers = [preflight.check_node(*each) for each in asked]
    assert not any(node.mistake for node in answers)
    preflight._check_shared(here, answers[:1])
    assert not list((tmp_path / "here").iterdir())
    with raises_code("node-unusable", where="--storage-path, node"):
        preflight._check_shared(here, answers[1:])


def test_latency_is_measured_on_machines_of_one_kind():
    mixed = [NodeReport("a", "node a", EPYC), NodeReport("b", "node b", XEON), NodeReport("c", "node c", EPYC)]
    assert machine_nodes(mixed, "epyc") == [mixed[0], mixed[2]]
    assert machine_nodes(mixed[:1], "") == mixed[:1]
    with raises_code("machine-differs", where="--latency-node", mentions=["EPYC", "Xeon"]):
        machine_nodes(mixed, "")
    with raises_code("unknown-node", where="--latency-node", value="A100"):
        machine_nodes(mixed, "A100")


def test_without_ray(digits, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with raises_code("package-missing", where="--runner tune", mentions="pip install 'ray[tune]'"):
        run_tune(None, digits)


def test_a_study_measures_where_it_measured_before(monkeypatch):
    from searchlab.runners.tune import run

    class TrialSource:
        study = tiny_study("accuracy", "latency_ms")
        options = RunOptions(device="cpu", threads=1)
        unit = TimeUnit("resnet8", 0.5, replace(XEON, name="a machine of the past"))

    monkeypatch.setattr(cluster_module, "alive", lambda: [{"Resources": {"CPU": 2.0}}])
    with raises_code("machine-differs", where="study tiny", mentions="a machine of the past"):
        run._latency_nodes(TrialSource(), slots_of(TrialSource.options), None, "")
