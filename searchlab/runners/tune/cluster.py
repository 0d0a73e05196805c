"""The Ray cluster: connects to it or starts one, and computes how many trials fit."""

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
"""Bytes of a local Ray's object store beside the data set, for weights and results."""

CONNECT_TIMEOUT_S = 10.0
"""Timeout for a connection to the cluster's head."""


@contextmanager
def connected(options: RunOptions, data_bytes: int) -> Iterator[None]:
    """Connects this process to the cluster at the address, or starts a local Ray that is stopped afterwards.

    Raises:
        UserError: no cluster at the address, or one with another version of Ray or Python.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    if ray.is_initialized():
        # The calling program has already connected.
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
        raise UserError(
            "cluster-not-found", "Ray Client cannot run a study", where="--address", value=address, allowed=allowed
        )
    try:
        _check_reachable(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except OSError as error:
        # Ray's ConnectionError is an OSError.
        allowed = "HOST:PORT as `ray start --head` printed it, or auto on a machine of the cluster"
        raise UserError(
            "cluster-not-found", "no Ray cluster at this address", where="--address", value=address, allowed=allowed
        ) from error
    except RuntimeError as error:
        if "Version mismatch" not in str(error):
            raise
        here = f"here Ray {ray.__version__}, Python {platform.python_version()}"
        versions = [line.strip() for line in str(error).splitlines() if re.match(r"\s*(Ray|Python): ", line)]
        there = ", ".join(versions[:2])
        raise UserError(
            "version-differs", "the cluster has another version", where="--address", value=there, allowed=here
        ) from error


def _check_reachable(address: str) -> None:
    """Checks that the address accepts connections; Ray itself would retry for minutes.

    Raises:
        OSError: the connection failed.
        UserError: invalid address.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(
            "cluster-not-found", "invalid address", where="--address", value=address, allowed="HOST:PORT, or auto"
        )
    socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()


@dataclass(frozen=True)
class Slots:
    """Resources of a trial, and how many trials fit on the cluster at a time."""

    cpus: float
    gpus: float
    concurrent: int
    whole_node_cpus: float

    @property
    def device(self) -> str:
        """Type of the training device."""
        return "cuda" if self.gpus else "cpu"

    @property
    def threads(self) -> int:
        """CPU threads of a trial."""
        return max(1, int(self.cpus))


def slots_of(options: RunOptions) -> Slots:
    """Computes the resources of each trial on this cluster.

    Raises:
        UserError: a trial needs more than any node has.
    """
    cluster, nodes = options.cluster, [node["Resources"] for node in alive()]
    gpus = _gpus(cluster, options.device, nodes)
    room = sum(_room(node, cluster.cpus_per_trial, gpus) for node in nodes)
    if room == 0:
        has = "; ".join(sorted({_counted(node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in nodes}))
        asked = _counted(cluster.cpus_per_trial, gpus)
        where = "--cpus-per-trial, --gpus-per-trial"
        raise UserError(
            "insufficient-resources",
            "more resources than any node has",
            where=where,
            value=asked,
            allowed=f"the nodes have {has}",
        )
    largest = max(node.get("CPU", 0.0) for node in nodes)
    return Slots(cluster.cpus_per_trial, gpus, cluster.concurrent or room, largest)


def _counted(cpus: float, gpus: float) -> str:
    return f"{cpus:g} CPU{'' if cpus == 1 else 's'}, {gpus:g} GPU{'' if gpus == 1 else 's'}"


def alive() -> list[dict[str, Any]]:
    """The live nodes of the cluster, as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _gpus(cluster: Cluster, device: str, nodes: list[dict[str, float]]) -> float:
    if cluster.gpus_per_trial is not None:
        return cluster.gpus_per_trial
    return 1.0 if device != "cpu" and any(node.get("GPU", 0) for node in nodes) else 0.0


def _room(node: dict[str, float], cpus: float, gpus: float) -> int:
    """How many trials fit on a node. Trials may share a GPU; a trial with a fraction of a GPU uses one GPU only."""
    by_cpu = int(node.get("CPU", 0.0) / cpus + 1e-9)
    if not gpus:
        return by_cpu
    there = node.get("GPU", 0.0)
    by_gpu = int(there / gpus + 1e-9) if gpus >= 1 else int(there) * int(1 / gpus + 1e-9)
    return min(by_cpu, by_gpu)
