"""A network under an exit rule as one ONNX model a segment, for runtimes without `If` and for batches.

Shape suffixes: N images, C channels or classes, H and W pixels.
"""

from onnx import ModelProto, TensorProto

from searchlab.engines.onnx_graph import Pieces, Pixels, decision_of, entry, spliced
from searchlab.engines.onnx_nodes import Info, Nodes, model_of
from searchlab.exits.scores import GATE
from searchlab.operating_point import ExitRule

MAP_IN, MAP, SCORE, LOGITS = "map_in", "map", "score", "logits"


def staged_models(pieces: Pieces, rule: ExitRule, *, pixels: Pixels | None = None) -> dict[str, ModelProto]:
    """Returns a model for every segment of a rule, by name; pieces that are dynamic accept batches.

    "leg_0" takes `image`, a later leg the `map` of the leg before as `map_in`. A leg returns `map` and `score`
    (float64), except the last, and `logits`. Where gates decide, `logits` come from "head_0" and so on, which take
    the `map_in` of those who leave; the last leg has its head within. Numbers are places in the rule.

    Raises:
        UserError: ONNX lacks an operator of a score of a user's own.
    """
    models = dict[str, ModelProto]()
    for place, exit in enumerate(rule.exits):
        models[f"leg_{place}"] = _leg(pieces, rule, place, pixels)
        if _gated(rule, place):
            nodes = Nodes()
            nodes.rename(nodes.splice(pieces.heads[exit], MAP_IN), LOGITS)
            models[f"head_{place}"] = model_of(nodes.graph("head", [_map(MAP_IN, pieces, exit)], [_logits(pieces)]))
    return models


def _leg(pieces: Pieces, rule: ExitRule, place: int, pixels: Pixels | None) -> ModelProto:
    nodes, exit, outputs = Nodes(), rule.exits[place], list[Info]()
    if place == 0:
        previous, (given, source) = None, entry(nodes, pieces, pixels)
    else:
        previous = rule.exits[place - 1]
        given, source = _map(MAP_IN, pieces, previous), MAP_IN
    map_NCHW = spliced(nodes, pieces.legs_between(previous, exit), source)
    if _gated(rule, place):
        signal = nodes.splice(pieces.gates[exit], map_NCHW)
    else:
        signal = nodes.splice(pieces.heads[exit], map_NCHW)
        nodes.rename(signal, LOGITS)
        outputs.append(_logits(pieces))
    if place < len(rule.thresholds):
        nodes.rename(map_NCHW, MAP)
        nodes.rename(decision_of(pieces, rule)(nodes, signal), SCORE)
        outputs += [_map(MAP, pieces, exit), (SCORE, TensorProto.DOUBLE, (pieces.batch,))]
    return model_of(nodes.graph(f"leg {place}", [given], outputs))


def _gated(rule: ExitRule, place: int) -> bool:
    return rule.score == GATE and place < len(rule.thresholds)


def _map(name: str, pieces: Pieces, exit: int) -> Info:
    return (name, TensorProto.FLOAT, (pieces.batch, *pieces.maps[exit]))


def _logits(pieces: Pieces) -> Info:
    return (LOGITS, TensorProto.FLOAT, (pieces.batch, pieces.images.classes))
