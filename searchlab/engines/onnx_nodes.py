"""Assembly of ONNX graphs: nodes and initializers with unique names, graphs spliced into others, branches of `If`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET, IR_VERSION = 17, 8
"""Opset and file format of every graph; runtimes of 2022 and later read them."""

IMAGE = "image"
"""Name of the input of a model that takes images."""

Info = tuple[str, int, Sequence[int | str]]
"""Name, element type and shape of an input or output; a dimension may be a name ("N")."""


class Nodes:
    """Nodes and initializers of a graph in the making. All names made here begin with `prefix`.

    A branch of an `If` gets its own `Nodes` with another prefix, and may read the names of the graph around it. Weights
    belong to the branch that uses them: ONNX Runtime reorders the weights of a convolution for the vector units only
    where they are in the graph of the convolution.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix, self.nodes, self.initializers = prefix, list[NodeProto](), list[TensorProto]()
        self._count = 0

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one output; returns its name."""
        return self.add_several(operator, inputs, 1, **attributes)[0]

    def add_several(self, operator: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """Adds a node with several outputs; returns their names."""
        name = self._name(operator)
        names = [f"{name}.{index}" if index else name for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, name=name, **attributes))
        return names

    def rename(self, source: str, name: str) -> None:
        """Gives a value a name of the caller's: outputs of graphs have fixed names."""
        self.nodes.append(helper.make_node("Identity", [source], [name], name=f"{self.prefix}{name}.name"))

    def constant(self, value: NDArray[Any], name: str = "") -> str:
        """Adds an initializer; returns its name, which is `name` where one is given."""
        name = name or self._name("constant")
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def splice(self, graph: GraphProto, source: str) -> str:
        """Adds a graph of one input and one output, fed from `source`; returns the name of its output."""
        begin = self._name("piece")
        names = {graph.input[0].name: source}

        def renamed(name: str) -> str:
            return names.setdefault(name, f"{begin}/{name}") if name else name

        nodes, initializers = _renamed(graph, renamed)
        self.nodes += nodes
        self.initializers += initializers
        return renamed(graph.output[0].name)

    def graph(self, name: str, inputs: Sequence[Info], outputs: Sequence[Info]) -> GraphProto:
        """Returns the graph of all nodes so far; a branch has no inputs."""
        infos = [[_info(info) for info in given] for given in (inputs, outputs)]
        return helper.make_graph(self.nodes, name, infos[0], infos[1], self.initializers)

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{self.prefix}{kind}_{self._count}"


def model_of(graph: GraphProto) -> ModelProto:
    """Returns a model, which can be written to a file or loaded by a runtime."""
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(graph, producer_name="searchlab", opset_imports=[opset], ir_version=IR_VERSION)


def _info(info: Info) -> ValueInfoProto:
    name, element, shape = info
    return helper.make_tensor_value_info(name, element, list(shape))


def _renamed(graph: GraphProto, renamed: Callable[[str], str]) -> tuple[list[NodeProto], list[TensorProto]]:
    """Copies of the nodes and initializers of a graph with other names, branches included."""
    nodes, initializers = list[NodeProto](), list[TensorProto]()
    for given in graph.initializer:
        tensor = TensorProto()
        tensor.CopyFrom(given)
        tensor.name = renamed(given.name)
        initializers.append(tensor)
    for each in graph.node:
        node = NodeProto()
        node.CopyFrom(each)
        node.name = renamed(each.name)
        node.input[:] = [renamed(name) for name in each.input]
        node.output[:] = [renamed(name) for name in each.output]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename_branch(attribute.g, renamed)
        nodes.append(node)
    return nodes, initializers


def _rename_branch(branch: GraphProto, renamed: Callable[[str], str]) -> None:
    nodes, initializers = _renamed(branch, renamed)
    del branch.node[:], branch.initializer[:], branch.value_info[:]
    branch.node.extend(nodes)
    branch.initializer.extend(initializers)
    for info in (*branch.input, *branch.output):
        info.name = renamed(info.name)
