"""Preflight check: runs one task per node to verify data, storage and hardware."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.fs
import ray
from ray.tune import Checkpoint
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from searchlab.data.shared import OnNode
from searchlab.engines.catalog import engine_named
from searchlab.errors import UserError
from searchlab.measure.device import resolve_device, this_machine
from searchlab.record import Machine
from searchlab.runners.tune.cluster import alive

SEEN = "seen-by-"
"""Prefix of the file that a node writes to prove access to the storage path."""

ANSWER_TIMEOUT_S = 300.0
"""Timeout for a node. Ray runs workers at low priority: on a busy machine, importing torch may take minutes."""


@dataclass(frozen=True)
class PreflightRequest:
    """What a node must check: hardware, the data, and write access to `place` ("": not checked)."""

    device: str
    threads: int
    data: OnNode | None
    place: str
    engine: str = ""


@dataclass(frozen=True)
class NodeReport:
    """Result of the check on one node. `mistake` says why it cannot run trials."""

    id: str
    name: str
    machine: Machine | None = None
    mistake: UserError | None = None


def check_node(question: PreflightRequest, node: NodeReport) -> NodeReport:
    """Runs the check on this node."""
    try:
        if question.data is not None:
            question.data.check()
        if question.place:
            _write_to(question.place, f"{SEEN}{node.id}")
        device = resolve_device(question.device)
        engine, device = engine_named(question.engine, device) if question.engine else ("", device)
        return replace(node, machine=this_machine(device, question.threads, engine))
    except UserError as error:
        return replace(node, mistake=error)


def checked_here(question: PreflightRequest) -> NodeReport:
    """Runs the check on this machine, in this process.

    Raises:
        UserError: this machine cannot run trials.
    """
    node = check_node(question, NodeReport("", "here"))
    if node.mistake:
        raise node.mistake
    return node


def ask_nodes(question: PreflightRequest) -> list[NodeReport]:
    """Runs the check on every node that can run trials.

    Raises:
        UserError: a node lacks the data, cannot write to the storage path, or does not answer.
    """
    nodes = [
        NodeReport(node["NodeID"], f"node {node['NodeManagerAddress']}")
        for node in alive()
        if node["Resources"].get("GPU" if question.device == "cuda" else "CPU")
    ]
    answers = [_requested(question, node) for node in nodes]
    _, waited = ray.wait(answers, num_returns=len(answers), timeout=ANSWER_TIMEOUT_S)
    if waited:
        name = nodes[answers.index(waited[0])].name
        raise UserError(
            "node-unusable",
            "a node does not answer",
            where=name,
            allowed=f"check that searchlab is installed there, for Python {platform.python_version()}",
        )
    found: list[NodeReport] = [_result(answer, node) for answer, node in zip(answers, nodes, strict=True)]
    for node in found:
        if node.mistake:
            raise node.mistake.at(": ".join(filter(None, (node.name, node.mistake.where))))
    if question.place:
        _check_shared(question.place, found)
    return found


def _requested(question: PreflightRequest, node: NodeReport) -> "ray.ObjectRef[NodeReport]":
    place = NodeAffinitySchedulingStrategy(node.id, soft=False)
    answer: ray.ObjectRef[NodeReport] = (
        ray.remote(check_node).options(num_cpus=0, scheduling_strategy=place).remote(question, node)
    )
    return answer


def _result(answer: "ray.ObjectRef[NodeReport]", node: NodeReport) -> NodeReport:
    try:
        return ray.get(answer)
    except ray.exceptions.RayError as error:
        line = next(line for line in reversed(str(error).splitlines()) if line.strip())
        return replace(node, mistake=UserError("node-unusable", f"the node cannot run trials: {line.strip()}"))


def machine_nodes(nodes: Sequence[NodeReport], wanted: str) -> list[NodeReport]:
    """Selects the nodes for latency measurements, all with equal hardware.

    Raises:
        UserError: hardware differs, and `wanted` matches none or several kinds of it.
    """
    kinds = {node.machine: node for node in nodes if wanted.lower() in _label(node).lower()}
    known = "; ".join(sorted({_label(node) for node in nodes}))
    if not kinds:
        raise UserError(
            "unknown-node", "no node matches", where="--latency-node", value=wanted, allowed=f"there are: {known}"
        )
    if len(kinds) > 1:
        what = "latencies of different machines cannot be compared in one front"
        raise UserError(
            "machine-differs", what, where="--latency-node", value=wanted or None, allowed=f"name one of: {known}"
        )
    (machine,) = kinds
    return [node for node in nodes if node.machine == machine]


def _label(node: NodeReport) -> str:
    assert node.machine is not None
    return node.machine.in_full


def _write_to(place: str, name: str) -> None:
    files, folder = _filesystem(place)
    try:
        files.create_dir(folder, recursive=True)
        with files.open_output_stream(f"{folder}/{name}") as stream:
            stream.write(b"")
    except OSError as error:
        raise UserError(
            "cannot-write", f"cannot write: {error.strerror or error}", where="--storage-path", value=place
        ) from error


def _check_shared(place: str, nodes: Sequence[NodeReport]) -> None:
    """Checks that this process finds the files that the nodes wrote."""
    files, folder = _filesystem(place)
    there = {Path(found.path).name for found in files.get_file_info(pyarrow.fs.FileSelector(folder))}
    for node in nodes:
        if f"{SEEN}{node.id}" not in there:
            what, allowed = (
                "the node sees another folder at this path than the driver",
                "a folder that all nodes share, or a URL",
            )
            raise UserError("node-unusable", what, where=f"--storage-path, {node.name}", value=place, allowed=allowed)
        files.delete_file(f"{folder}/{SEEN}{node.id}")


def _filesystem(place: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """Returns the file system of a folder or URL, as Tune resolves it, and the path on it."""
    found = Checkpoint(place)
    assert found.filesystem is not None
    return found.filesystem, found.path
