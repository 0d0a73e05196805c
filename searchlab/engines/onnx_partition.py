"""A router and its experts as an ONNX graph. With hard routing only the expert of the chosen group runs.

Shape suffixes: N images, R those of one group, C classes, G groups, K classes of one group. 1 is one image.
"""

from collections.abc import Sequence

import numpy as np
from onnx import GraphProto, TensorProto

from searchlab.engines.onnx_export import BATCH, exported
from searchlab.engines.onnx_nodes import Nodes
from searchlab.model.partitioned import RoutedExperts


def partition_graph(experts: RoutedExperts, shape: Sequence[int], where: str, *, dynamic: bool = False) -> GraphProto:
    """Returns the graph from images x to logits y, as `RoutedExperts` computes them.

    Raises:
        UserError: an operator of one of the networks has no counterpart in ONNX.
    """
    graphs = [
        exported(network, shape, f"{where}, {name}", dynamic=dynamic)
        for name, network in (
            ("router", experts.router),
            *((f"expert {g}", expert) for g, expert in enumerate(experts.experts)),
        )
    ]
    partition = _Partition(graphs[0], graphs[1:], experts.groups)
    nodes = Nodes()
    log_group_NG = nodes.add("LogSoftmax", nodes.splice(partition.router, "x"), axis=1)
    if not experts.hard:
        logits_NC = partition.soft(nodes, "x", log_group_NG)
    elif dynamic:
        logits_NC = partition.hard_batch(nodes, "x", log_group_NG)
    else:
        logits_NC = partition.hard(nodes, "x", log_group_NG)
    nodes.rename(logits_NC, "y")
    batch: int | str = BATCH if dynamic else shape[0]
    inputs, outputs = (batch, *shape[1:]), (batch, experts.classes)
    return nodes.graph("partition", [("x", TensorProto.FLOAT, inputs)], [("y", TensorProto.FLOAT, outputs)])


class _Partition:
    """The graphs of a router and of its experts, and the classes of every group."""

    def __init__(self, router: GraphProto, experts: Sequence[GraphProto], groups: Sequence[Sequence[int]]) -> None:
        self.router, self.experts, self.groups = router, experts, groups
        self.classes = sum(map(len, groups))

    def soft(self, nodes: Nodes, images: str, log_group_NG: str) -> str:
        """All experts: log p(group) + log p(class | group)."""
        columns = [self._within(nodes, group, images, log_group_NG) for group in range(len(self.groups))]
        place_C = np.argsort([number for group in self.groups for number in group])
        return nodes.add("Gather", nodes.add("Concat", *columns, axis=1), nodes.constant(place_C), axis=1)

    def hard(self, nodes: Nodes, image: str, log_group_1G: str) -> str:
        """One image: a chain of `If`, which asks for one group after the other."""
        group_1 = nodes.add("ArgMax", log_group_1G, axis=1, keepdims=0)
        return self._chain(nodes, 0, image, log_group_1G, group_1)

    def hard_batch(self, nodes: Nodes, images: str, log_group_NG: str) -> str:
        """A batch: every group's rows go through its expert; where there are none it does not run."""
        group_N = nodes.add("ArgMax", log_group_NG, axis=1, keepdims=0)
        like_N1 = nodes.add("ReduceMax", log_group_NG, axes=[1], keepdims=1)
        logits_NC = nodes.add("Concat", *[like_N1] * self.classes, axis=1)
        for group in range(len(self.groups)):
            is_here_N = nodes.add("Equal", group_N, nodes.constant(np.array(group, np.int64)))
            rows_R1 = nodes.add("Transpose", nodes.add("NonZero", is_here_N), perm=[1, 0])
            any_here = nodes.add("Greater", nodes.add("Size", rows_R1), nodes.constant(np.array(0, np.int64)))
            run, skip = Nodes(f"{nodes.prefix}group{group}."), Nodes(f"{nodes.prefix}skip{group}.")
            here = [run.add("GatherND", name, rows_R1) for name in (images, log_group_NG)]
            done = run.add("ScatterND", logits_NC, rows_R1, self._of_group(run, group, *here))
            logits_NC = _either(nodes, any_here, (run, done), (skip, skip.add("Identity", logits_NC)), self.classes)
        return logits_NC

    def _chain(self, nodes: Nodes, group: int, image: str, log_group_1G: str, group_1: str) -> str:
        if group == len(self.groups) - 1:
            return self._of_group(nodes, group, image, log_group_1G)
        chosen = nodes.add("Equal", group_1, nodes.constant(np.array([group], np.int64)))
        run, other = Nodes(f"{nodes.prefix}group{group}."), Nodes(f"{nodes.prefix}not{group}.")
        found = self._of_group(run, group, image, log_group_1G)
        others = self._chain(other, group + 1, image, log_group_1G, group_1)
        return _either(nodes, chosen, (run, found), (other, others), self.classes)

    def _within(self, nodes: Nodes, group: int, images: str, log_group_RG: str) -> str:
        """log p(group) + log p(class | group), a column for every class of the group."""
        log_class_RK = nodes.add("LogSoftmax", nodes.splice(self.experts[group], images), axis=1)
        column = nodes.constant(np.array([group], np.int64))
        return nodes.add("Add", log_class_RK, nodes.add("Gather", log_group_RG, column, axis=1))

    def _of_group(self, nodes: Nodes, group: int, images: str, log_group_RG: str) -> str:
        """logits_RC of images that go to a group: what its expert says, and the router's doubt, spread evenly."""
        within_RK = self._within(nodes, group, images, log_group_RG)
        members = list(self.groups[group])
        order_C = np.array([members.index(c) if c in members else len(members) for c in range(self.classes)])
        others = np.array([other for other in range(len(self.groups)) if other != group], np.int64)
        if not len(others):
            return nodes.add("Gather", within_RK, nodes.constant(order_C), axis=1)
        other_RG = nodes.add("Gather", log_group_RG, nodes.constant(others), axis=1)
        doubt_R1 = nodes.add("ReduceLogSumExp", other_RG, axes=[1], keepdims=1)
        doubt_R1 = nodes.add("Sub", doubt_R1, nodes.constant(np.array(np.log(self.classes), np.float32)))
        # log(p + d) = m + log(exp(p - m) + exp(d - m)) with m the greater one, which is finite.
        both_RK = _log_add(nodes, within_RK, doubt_R1)
        columns_RC = nodes.add("Concat", both_RK, doubt_R1, axis=1)
        return nodes.add("Gather", columns_RC, nodes.constant(order_C), axis=1)


def _log_add(nodes: Nodes, first: str, second: str) -> str:
    greater = nodes.add("Max", first, second)
    terms = [nodes.add("Exp", nodes.add("Sub", each, greater)) for each in (first, second)]
    return nodes.add("Add", greater, nodes.add("Log", nodes.add("Add", *terms)))


def _either(nodes: Nodes, condition: str, then: tuple[Nodes, str], other: tuple[Nodes, str], classes: int) -> str:
    """Adds an `If` whose branches both return logits."""
    branches = [
        each.graph(each.prefix, [], [(output, TensorProto.FLOAT, (BATCH, classes))]) for each, output in (then, other)
    ]
    return nodes.add("If", condition, then_branch=branches[0], else_branch=branches[1])
