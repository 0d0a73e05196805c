"""Networks as ONNX graphs: pieces of a network, and models with real exits that are assembled from them.

What is measured and what is exported are assembled here, from the same pieces.

Shape suffixes: N images, C channels or classes, H and W pixels. 1 is one image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto
from torch import nn

from searchlab.architecture import ImageSpec
from searchlab.engines.onnx_export import BATCH, exported, output_shape
from searchlab.engines.onnx_nodes import IMAGE, Info, Nodes, model_of
from searchlab.engines.onnx_partition import partition_graph
from searchlab.engines.onnx_scores import ScoreFunction, ScoreNodes, score_nodes
from searchlab.exits.scores import GATE
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.model.heads import LearnedGate
from searchlab.model.partitioned import RoutedExperts
from searchlab.operating_point import ExitRule

OUTPUTS = ("class", "probabilities", "exit", "score", "logits")
"""Outputs of a model with exits. `exit` is a position in the exit table. `score` is NaN where nothing is decided."""


@dataclass(frozen=True)
class Pixels:
    """What a model accepts, and how it is normalised: uint8 of 0 to 255, or fractions from 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    uint8: bool = True


@dataclass(frozen=True)
class Pieces:
    """A network in pieces, as ONNX graphs from x to y: the stages up to each cut from the one before, heads, gates.

    `maps` are the shapes of the maps at the cuts, without the batch. With `dynamic`, graphs accept any batch size.
    """

    images: ImageSpec
    legs: tuple[GraphProto, ...]
    heads: tuple[GraphProto, ...]
    gates: tuple[GraphProto, ...]
    maps: tuple[tuple[int, ...], ...]
    dynamic: bool = False
    functions: Mapping[str, ScoreFunction] = field(default_factory=dict)

    @property
    def batch(self) -> int | str:
        """First dimension of inputs and outputs."""
        return BATCH if self.dynamic else 1

    def legs_between(self, previous: int | None, exit: int) -> Sequence[GraphProto]:
        """Returns the pieces from one exit's cut to that of a later one."""
        return self.legs[0 if previous is None else previous + 1 : exit + 1]


def pieces_of(
    network: EarlyExitNetwork,
    images: ImageSpec,
    *,
    functions: Mapping[str, ScoreFunction] | None = None,
    dynamic: bool = False,
) -> Pieces:
    """Exports every piece of a network; gates are folded. `functions` are scores of users' own, in torch.

    Raises:
        UserError: an operator of the network has no counterpart in ONNX; the message names the piece.
    """
    network = network.eval()
    shape: tuple[int, ...] = (1, images.channels, images.height, images.width)
    legs, heads, gates, maps, begin = list[GraphProto](), list[GraphProto](), list[GraphProto](), [], 0
    for exit, cut in enumerate(network.cuts):
        leg = nn.Sequential(*network.stages[begin : cut + 1]).eval()
        legs.append(exported(leg, shape, f"stages {begin} to {cut}", dynamic=dynamic))
        shape, begin = output_shape(leg, shape), cut + 1
        maps.append(shape[1:])
        heads.append(_head_graph(network.heads[exit], shape, f"head after stage {cut}", dynamic=dynamic))
        if exit < len(network.gates):
            gate = cast(LearnedGate, network.gates[exit]).folded()
            gates.append(exported(gate, shape, f"gate after stage {cut}", dynamic=dynamic))
    return Pieces(images, tuple(legs), tuple(heads), tuple(gates), tuple(maps), dynamic, functions or {})


def _head_graph(head: nn.Module, shape: Sequence[int], where: str, *, dynamic: bool) -> GraphProto:
    if isinstance(head, RoutedExperts):
        return partition_graph(head, shape, where, dynamic=dynamic)
    return exported(head, shape, where, dynamic=dynamic)


def nested_model(
    pieces: Pieces, rule: ExitRule, *, pixels: Pixels | None = None, overridable: bool = False
) -> ModelProto:
    """Returns a model for one image with real exits: `If` in `If`, so that what an image does not need is not computed.

    Its input is `image`, normalised float32 unless `pixels` are given; its outputs are OUTPUTS. The thresholds are the
    initializers `threshold_<exit>` (position in the exit table). With `overridable`, they are inputs with a default,
    too: a measurement can force an exit.

    Raises:
        UserError: ONNX lacks an operator of a score of a user's own.
    """
    assert not pieces.dynamic, "branches are taken for one image"
    assert rule.exits[-1] < len(pieces.heads), rule
    assert rule.score != GATE or pieces.gates or not rule.thresholds, "this network has no gates"
    nodes = Nodes()
    thresholds = {threshold_name(exit): value for exit, value in zip(rule.exits, rule.thresholds, strict=False)}
    for name, value in thresholds.items():
        nodes.constant(np.array([value], np.float64), name)
    image, source = entry(nodes, pieces, pixels)
    logits, exit, score = _Levels(pieces, rule).add(nodes, 0, source)
    nodes.rename(logits, "logits")
    nodes.rename(exit, "exit")
    nodes.rename(score, "score")
    nodes.rename(nodes.add("ArgMax", logits, axis=1, keepdims=0), "class")
    nodes.rename(nodes.add("Softmax", logits, axis=1), "probabilities")
    inputs = [image, *((name, TensorProto.DOUBLE, (1,)) for name in thresholds if overridable)]
    return model_of(nodes.graph("early exits", inputs, _outputs(pieces.images.classes)))


def prefix_model(pieces: Pieces, exit: int, *, pixels: Pixels | None = None) -> ModelProto:
    """Returns the model whose only exit in use is `exit`; its inputs and outputs are those of `nested_model`."""
    return nested_model(pieces, ExitRule("max_softmax", (exit,), ()), pixels=pixels)


def threshold_name(exit: int) -> str:
    """Returns the name of an exit's threshold in a model."""
    return f"threshold_{exit}"


class _Levels:
    """Nested decisions of a rule: what runs up to an exit, and an `If` around everything after it."""

    def __init__(self, pieces: Pieces, rule: ExitRule) -> None:
        self.pieces, self.rule = pieces, rule
        self.score = decision_of(pieces, rule)

    def add(self, nodes: Nodes, place: int, source: str) -> tuple[str, str, str]:
        """Adds everything from the exit at a place of the rule on; returns the names of logits, exit and score."""
        exit = self.rule.exits[place]
        previous = self.rule.exits[place - 1] if place else None
        map_1CHW = spliced(nodes, self.pieces.legs_between(previous, exit), source)
        head = self.pieces.heads[exit]
        if place == len(self.rule.exits) - 1:
            undecided = nodes.constant(np.array([np.nan], np.float32))
            return nodes.splice(head, map_1CHW), nodes.constant(np.array([exit], np.int64)), undecided
        leaving, staying = (Nodes(f"{nodes.prefix}{word}{exit}.") for word in ("leave", "stay"))
        if self.rule.score == GATE:
            signal = nodes.splice(self.pieces.gates[exit], map_1CHW)
            logits_1C = leaving.splice(head, map_1CHW)
        else:
            signal = nodes.splice(head, map_1CHW)
            logits_1C = leaving.add("Identity", signal)
        score_1 = self.score(nodes, signal)
        leaves = nodes.add("GreaterOrEqual", score_1, threshold_name(exit))
        narrow_1 = leaving.add("Cast", score_1, to=TensorProto.FLOAT)
        left = (logits_1C, leaving.constant(np.array([exit], np.int64)), narrow_1)
        branches = [self._branch(leaving, left), self._branch(staying, self.add(staying, place + 1, map_1CHW))]
        found = nodes.add_several("If", [leaves], len(left), then_branch=branches[0], else_branch=branches[1])
        return found[0], found[1], found[2]

    def _branch(self, nodes: Nodes, names: tuple[str, str, str]) -> GraphProto:
        logits, exit, score = names
        classes = self.pieces.images.classes
        kinds = (TensorProto.FLOAT, TensorProto.INT64, TensorProto.FLOAT)
        shapes: tuple[tuple[int, ...], ...] = ((1, classes), (1,), (1,))
        return nodes.graph(nodes.prefix, [], list(zip((logits, exit, score), kinds, shapes, strict=True)))


def spliced(nodes: Nodes, graphs: Sequence[GraphProto], source: str) -> str:
    """Adds graphs in a row; returns the name of the last one's output."""
    for graph in graphs:
        source = nodes.splice(graph, source)
    return source


def decision_of(pieces: Pieces, rule: ExitRule) -> ScoreNodes:
    """Returns the nodes of a rule's score: of logits_NC, or of what a gate returns.

    Raises:
        UserError: ONNX lacks an operator of a score of a user's own.
    """
    if not rule.thresholds:
        return _undecided
    return _gate if rule.score == GATE else score_nodes(rule.score, pieces.images.classes, pieces.functions)


def _gate(nodes: Nodes, gate_N1: str) -> str:
    flat_N = nodes.add("Squeeze", gate_N1, nodes.constant(np.array([1], np.int64)))
    return nodes.add("Cast", flat_N, to=TensorProto.DOUBLE)


def _undecided(nodes: Nodes, signal: str) -> str:
    raise AssertionError("where one exit is in use, nothing is decided")


def entry(nodes: Nodes, pieces: Pieces, pixels: Pixels | None) -> tuple[Info, str]:
    """Adds the normalisation of images; returns the input of the model, and the name of normalised images."""
    images = pieces.images
    shape = (pieces.batch, images.channels, images.height, images.width)
    if pixels is None:
        return (IMAGE, TensorProto.FLOAT, shape), IMAGE
    mean_C11, std_C11 = (np.array(value, np.float64)[:, None, None] for value in (pixels.mean, pixels.std))
    scale = 1 / ((255 if pixels.uint8 else 1) * std_C11)
    source = nodes.add("Cast", IMAGE, to=TensorProto.FLOAT) if pixels.uint8 else IMAGE
    source = nodes.add("Mul", source, nodes.constant(scale.astype(np.float32)))
    source = nodes.add("Add", source, nodes.constant((-mean_C11 / std_C11).astype(np.float32)))
    return (IMAGE, TensorProto.UINT8 if pixels.uint8 else TensorProto.FLOAT, shape), source


def _outputs(classes: int) -> list[Info]:
    return [
        ("class", TensorProto.INT64, (1,)),
        ("probabilities", TensorProto.FLOAT, (1, classes)),
        ("exit", TensorProto.INT64, (1,)),
        ("score", TensorProto.FLOAT, (1,)),
        ("logits", TensorProto.FLOAT, (1, classes)),
    ]
