"""What every node of a cluster is asked before a study begins on it: each answers in a process of its own."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.fs
import ray
from ray.tune import Checkpoint
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from searchlab.data.shared import OnNode
from searchlab.errors import UserError
from searchlab.measure.device import resolve_device, this_machine
from searchlab.record import Machine
from searchlab.runners.tune.cluster import alive

SEEN = "seen-by-"
"""What the file's name begins with by which a node shows that it can write to the storage path."""

WAITS_S = 300.0
"""A node that has not answered by then cannot run trials either. Ray runs workers at a low priority, so that on a busy
machine they may take minutes to import torch."""


@dataclass(frozen=True)
class Question:
    """What a node is asked: its machine, and whether it has the data and can write to the place ("": not asked)."""

    device: str
    threads: int
    data: OnNode | None
    place: str


@dataclass(frozen=True)
class Node:
    """A node's answer. `mistake` says why it cannot run trials."""

    id: str
    name: str
    machine: Machine | None = None
    mistake: str = ""


def look(question: Question, node: Node) -> Node:
    """This node's answer."""
    try:
        if question.data is not None:
            question.data.check()
        if question.place:
            _write_to(question.place, f"{SEEN}{node.id}")
        return replace(node, machine=this_machine(resolve_device(question.device), question.threads))
    except UserError as error:
        return replace(node, mistake=str(error))


def answered(question: Question) -> Node:
    """The answer of this machine, in this process.

    Raises:
        UserError: it cannot run trials.
    """
    node = look(question, Node("", "here"))
    if node.mistake:
        raise UserError(node.mistake)
    return node


def survey(question: Question) -> list[Node]:
    """What every node says that can have trials.

    Raises:
        UserError: a node has no data, or cannot write where the others can, or does not answer.
    """
    nodes = [
        Node(node["NodeID"], f"node {node['NodeManagerAddress']}")
        for node in alive()
        if node["Resources"].get("GPU" if question.device == "cuda" else "CPU")
    ]
    answers = [_asked(question, node) for node in nodes]
    _, waited = ray.wait(answers, num_returns=len(answers), timeout=WAITS_S)
    if waited:
        name = nodes[answers.index(waited[0])].name
        raise UserError(
            "a node does not answer",
            where=name,
            allowed=f"is searchlab installed there, for Python {platform.python_version()}?",
        )
    found: list[Node] = [_answer(answer, node) for answer, node in zip(answers, nodes, strict=True)]
    for node in found:
        if node.mistake:
            raise UserError(node.mistake, where=node.name)
    if question.place:
        _check_shared(question.place, found)
    return found


def _asked(question: Question, node: Node) -> "ray.ObjectRef[Node]":
    place = NodeAffinitySchedulingStrategy(node.id, soft=False)
    answer: ray.ObjectRef[Node] = ray.remote(look).options(num_cpus=0, scheduling_strategy=place).remote(question, node)
    return answer


def _answer(answer: "ray.ObjectRef[Node]", node: Node) -> Node:
    try:
        return ray.get(answer)
    except ray.exceptions.RayError as error:
        line = next(line for line in reversed(str(error).splitlines()) if line.strip())
        return replace(node, mistake=f"it cannot run trials: {line.strip()}")


def machine_nodes(nodes: Sequence[Node], wanted: str) -> list[Node]:
    """The nodes that latencies are measured on, all of one machine.

    Raises:
        UserError: they differ, and `wanted` is in the name of none or of several kinds.
    """
    kinds = {node.machine: node for node in nodes if wanted.lower() in _label(node).lower()}
    known = "; ".join(sorted({_label(node) for node in nodes}))
    if not kinds:
        raise UserError("no node is so named", where="--latency-node", value=wanted, allowed=f"there are: {known}")
    if len(kinds) > 1:
        what = "latencies of different machines do not mix in one front"
        raise UserError(what, where="--latency-node", value=wanted or None, allowed=f"name one of: {known}")
    (machine,) = kinds
    return [node for node in nodes if node.machine == machine]


def _label(node: Node) -> str:
    assert node.machine is not None
    return node.machine.in_full


def _write_to(place: str, name: str) -> None:
    files, folder = _filesystem(place)
    try:
        files.create_dir(folder, recursive=True)
        with files.open_output_stream(f"{folder}/{name}") as stream:
            stream.write(b"")
    except OSError as error:
        raise UserError(f"cannot write: {error.strerror or error}", where="--storage-path", value=place) from error


def _check_shared(place: str, nodes: Sequence[Node]) -> None:
    """Whether this process finds what every node wrote."""
    files, folder = _filesystem(place)
    there = {Path(found.path).name for found in files.get_file_info(pyarrow.fs.FileSelector(folder))}
    for node in nodes:
        if f"{SEEN}{node.id}" not in there:
            what, allowed = "is another folder there than here", "a folder that all nodes share, or a URL"
            raise UserError(what, where=f"--storage-path, {node.name}", value=place, allowed=allowed)
        files.delete_file(f"{folder}/{SEEN}{node.id}")


def _filesystem(place: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """The file system of a folder or URL, as Tune finds it, and the folder on it."""
    found = Checkpoint(place)
    assert found.filesystem is not None
    return found.filesystem, found.path
