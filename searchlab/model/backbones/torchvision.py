"""Torchvision's classifiers, cut after named modules: traced with torch.fx, each stage a part of the graph.

Traces and shapes come from a copy on the meta device and are cached; a network is then built from copied modules.

Shape suffixes: N images, C channels or classes, H and W pixels.
"""

import difflib
import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import fx, nn
from torchvision import models, ops
from torchvision.models.convnext import LayerNorm2d
from torchvision.models.maxvit import RelativePositionalMultiHeadAttention
from torchvision.models.swin_transformer import ShiftedWindowAttention, ShiftedWindowAttentionV2

from searchlab.architecture import ImageSpec, Torchvision
from searchlab.errors import UserError
from searchlab.model.blocks import Make, Stage, check_size

PREFIX = "torchvision:"
NAMED = re.compile(PREFIX + r"(?P<model>\w+)(@(?P<cuts>[\w.]+(,[\w.]+)*))?")
REST = "rest"
"""Name of the last stage."""

COLOURS = 3
NAMED_MISFITS = 3

WITHOUT_AUXILIARY = {name: {"aux_logits": False, "init_weights": True} for name in ("googlenet", "inception_v3")}
"""Arguments of models with auxiliary classifiers, which are exits here; without `init_weights` both would warn."""

CHANNELS_LAST = (models.SwinTransformer,)
"""Models whose maps are N, H, W, C, which no head accepts."""

IN_PLACE: dict[object, Callable[..., Any]] = {operator.iadd: operator.add, operator.imul: operator.mul}


def _window_macs(layer: ShiftedWindowAttention, map_NHWC: torch.Tensor) -> int:
    """Counts queries, keys, values and projection of every token, then attention within windows, which tile the map."""
    _, height, width, channels = map_NHWC.shape
    rows, columns = layer.window_size
    tokens = math.ceil(height / rows) * rows * math.ceil(width / columns) * columns
    return int(tokens * (4 * channels**2 + 2 * rows * columns * channels))


def _relative_macs(layer: RelativePositionalMultiHeadAttention, tokens: torch.Tensor) -> int:
    """Counts attention within windows; the layers before and after it are counted separately."""
    _, windows, size, features = tokens.shape
    return windows * 2 * size**2 * features


ATTENTION_MACS: dict[type[nn.Module], Callable[[Any, Any], int]] = {
    ShiftedWindowAttention: _window_macs,
    ShiftedWindowAttentionV2: _window_macs,
    RelativePositionalMultiHeadAttention: _relative_macs,
}
"""Modules with matrix products outside torch's layers: stages keep them whole, and `macs.COUNTED` counts them."""

ELEMENTWISE: tuple[type[nn.Module], ...] = (LayerNorm2d, ops.Permute, ops.StochasticDepth)
"""Torchvision's own layers without multiply-accumulates."""


def torchvision_named(text: str) -> Torchvision:
    """Parses "torchvision:resnet50@layer1,layer2": a model, and the modules after which it is cut, if any.

    Raises:
        UserError: the text has another form. Model and modules are checked when the network is built.
    """
    found = NAMED.fullmatch(text)
    if not found:
        allowed = f"{PREFIX}MODEL or {PREFIX}MODEL@MODULE,MODULE"
        raise UserError("unknown-architecture", "invalid name of a torchvision classifier", value=text, allowed=allowed)
    return Torchvision(found["model"], tuple(found["cuts"].split(",")) if found["cuts"] else ())


def torchvision_stages(architecture: Torchvision, images: ImageSpec) -> list[Stage]:
    """Builds the piece up to each cut, then the rest, which ends in the network's own classifier: logits_NC.

    Grey images are repeated in three channels. On the meta device no weights are read.

    Raises:
        UserError: the model, a module or a cut is invalid, cuts are out of order, the images are too small, or the
            weights do not fit.
    """
    pieces = _pieces(architecture.model, architecture.cuts, images)
    network = _network(architecture.model, images.classes)
    if architecture.weights and not any(parameter.is_meta for parameter in network.parameters()):
        _load(network, architecture)
    return [
        Stage(piece.name, _returns(fx.GraphModule(network, piece.graph)), piece.channels, piece.height, piece.width)
        for piece in pieces
    ]


def _returns(made: nn.Module) -> Make:
    """All pieces of a network are made together; weights that were read are in them."""
    return lambda: made


@dataclass(frozen=True)
class _Piece:
    """A stage without parameters: its graph, and the shape of its output."""

    name: str
    graph: fx.Graph
    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class _Trace:
    """A classifier as a graph, the output node of every module, and the shape of every tensor."""

    name: str
    graph: fx.Graph
    returned: dict[str, fx.Node]
    shapes: dict[fx.Node, tuple[int, ...]]
    channels_first: bool

    @property
    def position(self) -> dict[fx.Node, int]:
        """Returns the position of every node in the order of execution."""
        return {node: index for index, node in enumerate(self.graph.nodes)}


def _network(name: str, classes: int) -> nn.Module:
    """Builds a classifier with torchvision's initialisation.

    In-place operations are disabled, because the next stage must not change a map that an exit reads.
    """
    known = models.list_models(module=models)
    if name not in known:
        near = ", ".join(difflib.get_close_matches(name, known, n=5)) or "see torchvision.models.list_models"
        raise UserError(
            "unknown-architecture", "unknown torchvision classifier", where="architecture", value=name, allowed=near
        )
    make = partial(models.get_model, name, num_classes=classes, **WITHOUT_AUXILIARY.get(name, {}))
    try:
        network: nn.Module = make()
    except NotImplementedError:
        # RegNets read numbers from tensors during construction, which the meta device does not allow.
        with torch.device("cpu"), torch.random.fork_rng(devices=[]):
            network = make().to("meta")
    for module in network.modules():
        if hasattr(module, "inplace"):
            module.inplace = False  # type: ignore[assignment]
    return network


@lru_cache(maxsize=64)
def _pieces(name: str, cuts: tuple[str, ...], images: ImageSpec) -> tuple[_Piece, ...]:
    with torch.device("meta"):
        network = _network(name, images.classes).eval()
    trace = _trace(name, network, images)
    ends = [_end(trace, cut) for cut in cuts]
    order = [trace.position[end] for end in ends]
    if order != sorted(set(order)):
        by_order = sorted(set(cuts), key=lambda cut: trace.position[trace.returned[cut]])
        allowed = f"each must run after the one before: {', '.join(by_order)}"
        raise UserError(
            "invalid-cut", "cuts are out of order", where=PREFIX + name, value=", ".join(cuts), allowed=allowed
        )
    shapes = [trace.shapes[end][1:] for end in ends]
    return tuple(
        _Piece(cut, graph, *shape)
        for cut, graph, shape in zip((*cuts, REST), _split(trace, ends), (*shapes, (images.classes, 1, 1)), strict=True)
    )


class _Tracer(fx.Tracer):
    """Tracer that records the output node of every module.

    Modules of `torchvision.ops` and attention are not traced into: they behave differently in training, and a trace
    would fix one behaviour.
    """

    proxy_buffer_attributes = True

    def __init__(self) -> None:
        super().__init__(autowrap_modules=(math, ops))
        self.returned: dict[str, fx.Node] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        whole = type(m).__module__.startswith("torchvision.ops.") or type(m) in ATTENTION_MACS
        return whole or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        output = super().call_module(m, forward, args, kwargs)
        if isinstance(output, fx.Proxy):
            self.returned[self.path_of_module(m)] = output.node
        return output


class _Shapes(fx.Interpreter):
    """Runs a graph and records the shape of every tensor."""

    def __init__(self, module: nn.Module, graph: fx.Graph) -> None:
        super().__init__(module, graph=graph)
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, torch.Tensor):
            self.shapes[n] = tuple(result.shape)
        return result


def _trace(name: str, network: nn.Module, images: ImageSpec) -> _Trace:
    """Traces a network on the meta device, with the shapes of its tensors for images of this size."""
    if images.channels not in (1, COLOURS):
        raise UserError(
            "unsupported-images",
            "number of channels is not supported",
            where=PREFIX + name,
            value=f"{images.channels} channels",
        )
    tracer = _Tracer()
    graph = tracer.trace(network)
    for node in graph.nodes:
        node.target = IN_PLACE.get(node.target, node.target)
        if node.kwargs.get("inplace"):
            node.kwargs = {**node.kwargs, "inplace": False}
    if images.channels == 1:
        _repeat_grey(graph)
    shapes = _Shapes(network, graph)
    try:
        shapes.run(torch.empty(2, images.channels, images.height, images.width, device="meta"))
    except (RuntimeError, AssertionError, ValueError) as error:
        least = min(weights.meta["min_size"] for weights in models.get_model_weights(name))
        check_size(PREFIX + name, images, least)
        size, allowed = f"{images.height} x {images.width}", f"supported: {least[0]} x {least[1]}"
        raise UserError(
            "unsupported-images", "image size is not supported", where=PREFIX + name, value=size, allowed=allowed
        ) from error
    return _Trace(name, graph, tracer.returned, shapes.shapes, not isinstance(network, CHANNELS_LAST))


def _repeat_grey(graph: fx.Graph) -> None:
    images = next(iter(graph.nodes))
    with graph.inserting_after(images):
        coloured = graph.call_method("expand", (images, -1, COLOURS, -1, -1))
    images.replace_all_uses_with(coloured, delete_user_cb=lambda user: user is not coloured)


def _end(trace: _Trace, cut: str) -> fx.Node:
    """Returns the node of a cut: the module's output, the only tensor that later nodes may need."""
    reason = _why_not(trace, cut)
    if reason:
        levels = [name for name in trace.returned if name.count(".") <= 1 and not _why_not(trace, name)]
        allowed = f"cuts can be made after {', '.join(levels)}" if levels else "no cut can be made in this network"
        raise UserError("invalid-cut", reason, where=PREFIX + trace.name, value=cut, allowed=allowed)
    return trace.returned[cut]


def _why_not(trace: _Trace, cut: str) -> str:
    """Returns why no cut is possible after a module, or ""."""
    if cut not in trace.returned:
        return "module not found in the network"
    end, position = trace.returned[cut], trace.position
    needed = {node for node in position if any(position[node] <= position[end] < position[user] for user in node.users)}
    if needed != {end}:
        return "more than one tensor is needed after this module"
    if len(trace.shapes.get(end, ())) != 4 or not trace.channels_first:
        return "the output of this module is not a map of shape N, C, H, W"
    return ""


def _split(trace: _Trace, ends: Sequence[fx.Node]) -> list[fx.Graph]:
    """Splits the graph into pieces; the input of each is the output of the one before."""
    images, *nodes = trace.graph.nodes
    output = nodes.pop()
    (logits,) = output.args
    assert images.op == "placeholder" and isinstance(logits, fx.Node), (images, logits)
    pieces, entry, rest = [], images, iter(nodes)
    for end in (*ends, logits):
        piece = fx.Graph()
        made = {entry: piece.placeholder("map_NCHW")}
        for node in rest:
            made[node] = piece.node_copy(node, made.__getitem__)
            if node is end:
                break
        piece.output(made[end])
        pieces.append(piece)
        entry = end
    return pieces


def _load(network: nn.Module, architecture: Torchvision) -> None:
    """Loads weights from a local file.

    Raises:
        UserError: the file is missing or invalid, or its tensors do not fit the network.
    """
    path = Path(architecture.weights).expanduser()
    try:
        tensors = load_file(path)
    except FileNotFoundError as error:
        raise UserError(
            "path-not-found", "weights file not found", where=PREFIX + architecture.model, value=str(path)
        ) from error
    except (SafetensorError, OSError) as error:
        raise UserError(
            "artefact-unreadable", "invalid safetensors file", where=str(path), allowed=str(error)
        ) from error
    needed = network.state_dict()
    misfits = [*(_misfit(name, tensors, needed) for name in {**needed, **tensors})]
    misfits = [misfit for misfit in misfits if misfit]
    if misfits:
        more = f"; and {len(misfits) - NAMED_MISFITS} more" if len(misfits) > NAMED_MISFITS else ""
        what = f"weights do not fit {architecture.model}"
        raise UserError("weights-mismatch", what, where=str(path), allowed="; ".join(misfits[:NAMED_MISFITS]) + more)
    network.load_state_dict(tensors)


def _misfit(name: str, tensors: dict[str, torch.Tensor], needed: dict[str, torch.Tensor]) -> str:
    if name not in tensors:
        return f"{name} is missing"
    if name not in needed:
        return f"{name} is not in the network"
    shapes = ["x".join(map(str, each[name].shape)) or "one number" for each in (tensors, needed)]
    return "" if shapes[0] == shapes[1] else f"{name} has {shapes[0]}, not {shapes[1]}"
