"""Scores of exits as ONNX nodes. In float64, as in the exit table: softmax saturates later."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from onnx import TensorProto
from torch import nn

from searchlab.engines.onnx_export import exported
from searchlab.engines.onnx_nodes import Nodes
from searchlab.errors import unknown

ScoreFunction = Callable[[torch.Tensor], torch.Tensor]
"""logits_NC to score_N."""

ScoreNodes = Callable[[Nodes, str], str]
"""Adds the nodes of a score to a graph: from the name of logits_NC to that of score_N, in float64."""


def _wide(nodes: Nodes, logits_NC: str) -> str:
    return nodes.add("Cast", logits_NC, to=TensorProto.DOUBLE)


def max_softmax(nodes: Nodes, logits_NC: str) -> str:
    """The highest softmax probability."""
    return nodes.add("ReduceMax", nodes.add("Softmax", _wide(nodes, logits_NC), axis=1), axes=[1], keepdims=0)


def max_logit(nodes: Nodes, logits_NC: str) -> str:
    """The highest raw logit."""
    return _wide(nodes, nodes.add("ReduceMax", logits_NC, axes=[1], keepdims=0))


def margin(nodes: Nodes, logits_NC: str) -> str:
    """The difference of the two highest softmax probabilities."""
    probability_NC = nodes.add("Softmax", _wide(nodes, logits_NC), axis=1)
    two = nodes.constant(np.array([2], np.int64))
    top_N2, _ = nodes.add_several("TopK", [probability_NC, two], 2, axis=1)
    return nodes.add("MatMul", top_N2, nodes.constant(np.array([1.0, -1.0])))


def entropy(nodes: Nodes, logits_NC: str) -> str:
    """Minus the entropy of softmax in nats."""
    log_probability_NC = nodes.add("LogSoftmax", _wide(nodes, logits_NC), axis=1)
    terms_NC = nodes.add("Mul", nodes.add("Exp", log_probability_NC), log_probability_NC)
    return nodes.add("ReduceSum", terms_NC, nodes.constant(np.array([1], np.int64)), keepdims=0)


SCORE_NODES: dict[str, ScoreNodes] = {
    "max_softmax": max_softmax,
    "max_logit": max_logit,
    "margin": margin,
    "entropy": entropy,
}
"""The same names as `exits.scores.SCORES`."""


def score_nodes(name: str, classes: int, functions: Mapping[str, ScoreFunction]) -> ScoreNodes:
    """Returns the nodes of a score; one of a user's own, which is among `functions`, is exported from torch.

    Raises:
        UserError: there is no such score, or ONNX lacks an operator of a user's own.
    """
    if name in SCORE_NODES:
        return SCORE_NODES[name]
    if name not in functions:
        raise unknown("score", name, [*SCORE_NODES, *functions], where="exit rule")
    graph = exported(_Score(functions[name]), (1, classes), f"score {name}", dynamic=True)
    return lambda nodes, logits_NC: nodes.splice(graph, logits_NC)


class _Score(nn.Module):
    def __init__(self, function: ScoreFunction) -> None:
        super().__init__()
        self._function = function

    def forward(self, logits_NC: torch.Tensor) -> torch.Tensor:
        """logits_NC to score_N."""
        return self._function(logits_NC).double().reshape(-1)
