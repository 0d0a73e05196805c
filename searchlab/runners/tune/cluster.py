"""The cluster: joining or starting it, what its nodes have, and what it cannot do."""

import logging
import platform
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray

from searchlab.errors import UserError
from searchlab.study import Cluster, RunOptions

STORE_FOR_RESULTS = 256 * 2**20
"""Bytes of a local Ray's object store beside the data set: weights on their way, and room."""

KNOCKS_S = 10.0
"""So long a cluster's head may take to answer."""


@contextmanager
def connected(options: RunOptions, data_bytes: int) -> Iterator[None]:
    """A Ray for this process: the running cluster at the address, or one of our own that is ended afterwards.

    Raises:
        UserError: there is no cluster at the address, or it is of another version of Ray or Python.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    if ray.is_initialized():
        # A program that uses searchlab has its own; tests do.
        yield
        return
    if options.cluster.address:
        _join(options.cluster.address)
    else:
        # On loopback only: see runners.cluster. Ray's token authentication is on for its own clusters.
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=3 * data_bytes + STORE_FOR_RESULTS,
        )
    try:
        yield
    finally:
        ray.shutdown()


def _join(address: str) -> None:
    if address.startswith("ray://"):
        allowed = "HOST:6379 from a machine of the cluster, or submit `searchlab run` as a Ray job"
        raise UserError("Ray Client cannot run a study", where="--address", value=address, allowed=allowed)
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except OSError as error:
        # Ray's ConnectionError is one too.
        allowed = "HOST:PORT as `ray start --head` printed it, or auto on a machine of the cluster"
        raise UserError("no Ray cluster there", where="--address", value=address, allowed=allowed) from error
    except RuntimeError as error:
        if "Version mismatch" not in str(error):
            raise
        here = f"here Ray {ray.__version__}, Python {platform.python_version()}"
        versions = [line.strip() for line in str(error).splitlines() if re.match(r"\s*(Ray|Python): ", line)]
        there = ", ".join(versions[:2])
        raise UserError("a cluster of another version", where="--address", value=there, allowed=here) from error


def _knock(address: str) -> None:
    """Whether anyone listens there: Ray itself would try for minutes.

    Raises:
        OSError: nobody does.
        UserError: it is no address.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError("no address", where="--address", value=address, allowed="HOST:PORT, or auto")
    socket.create_connection((host, int(port)), timeout=KNOCKS_S).close()


@dataclass(frozen=True)
class Slots:
    """What trials reserve, and how many of them the cluster has room for."""

    cpus: float
    gpus: float
    concurrent: int
    whole_node_cpus: float

    @property
    def device(self) -> str:
        """What trials train on."""
        return "cuda" if self.gpus else "cpu"

    @property
    def threads(self) -> int:
        """CPU threads of a trial."""
        return max(1, int(self.cpus))


def slots_of(options: RunOptions) -> Slots:
    """What each trial gets on this cluster.

    Raises:
        UserError: a trial asks for more than any node has.
    """
    cluster, nodes = options.cluster, [node["Resources"] for node in alive()]
    gpus = _gpus(cluster, options.device, nodes)
    room = sum(_room(node, cluster.cpus_per_trial, gpus) for node in nodes)
    if room == 0:
        has = "; ".join(sorted({_counted(node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in nodes}))
        asked = _counted(cluster.cpus_per_trial, gpus)
        where = "--cpus-per-trial, --gpus-per-trial"
        raise UserError("more than any node has", where=where, value=asked, allowed=f"the nodes have {has}")
    largest = max(node.get("CPU", 0.0) for node in nodes)
    return Slots(cluster.cpus_per_trial, gpus, cluster.concurrent or room, largest)


def _counted(cpus: float, gpus: float) -> str:
    return f"{cpus:g} CPU{'' if cpus == 1 else 's'}, {gpus:g} GPU{'' if gpus == 1 else 's'}"


def alive() -> list[dict[str, Any]]:
    """The nodes of the cluster as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _gpus(cluster: Cluster, device: str, nodes: list[dict[str, float]]) -> float:
    if cluster.gpus_per_trial is not None:
        return cluster.gpus_per_trial
    return 1.0 if device != "cpu" and any(node.get("GPU", 0) for node in nodes) else 0.0


def _room(node: dict[str, float], cpus: float, gpus: float) -> int:
    """How many trials fit on a node. A GPU is shared, but a trial of a fraction lies on one."""
    by_cpu = int(node.get("CPU", 0.0) / cpus + 1e-9)
    if not gpus:
        return by_cpu
    there = node.get("GPU", 0.0)
    by_gpu = int(there / gpus + 1e-9) if gpus >= 1 else int(there) * int(1 / gpus + 1e-9)
    return min(by_cpu, by_gpu)
