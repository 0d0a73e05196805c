"""A network as ONNX models with real exits, prepared: what is timed is the file that would be exported.

Shape suffixes: N images, C channels or classes, H and W pixels.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto

from searchlab.architecture import ImageSpec
from searchlab.engines.engine import EngineOptions, Pass, Run, Score, Stamp
from searchlab.engines.onnx_graph import OUTPUTS, Pieces, Pixels, nested_model, pieces_of, prefix_model
from searchlab.engines.route import Route
from searchlab.engines.total_prices import Weights, priced_total, prices_of_totals, routes_of_totals
from searchlab.exits.scores import GATE, SCORES
from searchlab.model.cost import parameter_count, stage_macs
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.operating_point import ExitRule
from searchlab.record import SegmentLatency

Model = Callable[[NDArray[Any]], Sequence[NDArray[Any]]]
"""A compiled model: from one image to `OUTPUTS`, on the host."""

Compile = Callable[[ModelProto], Model]

MIXED_PER_EXIT = 2
"""Images per exit of the mixed samples."""

CLASS, EXIT, SCORE = (OUTPUTS.index(name) for name in ("class", "exit", "score"))

ANY_MEAN, ANY_STD = 0.5, 0.25
"""Normalisation where the data's is not known: what it is, has no influence on latency."""


class PreparedModel:
    """A network as nested `If`, compiled by an engine: one call runs from an image of uint8 to its class.

    A route is the file whose thresholds force an exit; an exit alone is the file that ends there. Models are compiled
    when they are first asked for, and kept.
    """

    def __init__(
        self,
        network: EarlyExitNetwork,
        image_NCHW: torch.Tensor,
        scores: Mapping[str, Score],
        compiled: Compile,
        options: EngineOptions,
    ) -> None:
        network = copy.deepcopy(network).cpu().eval()
        images = _spec(network, image_NCHW)
        own = {name: score for name, score in scores.items() if name not in (*SCORES, GATE)}
        channels = images.channels
        self._pixels = Pixels(options.mean or (ANY_MEAN,) * channels, options.std or (ANY_STD,) * channels)
        self._pieces: Pieces = pieces_of(network, images, functions=own)
        self._weights = _weights(network, image_NCHW)
        self._scores, self._compile = tuple(scores), compiled
        self._models: dict[Route, Model] = {}
        self._image = self.taken(image_NCHW)

    @property
    def cuts(self) -> tuple[int, ...]:
        """The cut of every exit."""
        return self._weights.cuts

    def whole(self) -> Pass:
        """A pass of the file without early exits."""
        return self.route(Route(len(self.cuts) - 1))

    def route(self, route: Route) -> Pass:
        """A pass of the file that forces the route, as one piece."""
        return _pass(self._model(route), self._image)

    def routes(self) -> Sequence[Route]:
        """Routes whose differences give the prices."""
        return routes_of_totals(len(self.cuts), self._scores)

    def prices(self, ms: Mapping[Route, Sequence[float]]) -> SegmentLatency:
        """The prices that explain the totals of all routes."""
        return prices_of_totals(self._weights, self._scores, {route: sum(total) for route, total in ms.items()})

    def priced(self, prices: SegmentLatency, route: Route) -> float:
        """What the prices say of a route's pass."""
        return priced_total(self.cuts, prices, route)

    def mixed(self) -> Sequence[tuple[Route, Pass]]:
        """Random images through one file, by thresholds at which about as many leave at every exit."""
        rule, found = self._spread, []
        model = self._compile(nested_model(self._pieces, rule, pixels=self._pixels))
        for image in self._random:
            exit = int(model(image)[EXIT][0])
            found.append((Route(exit, rule.score), _pass(model, image)))
        return found

    def taken(self, image_1CHW: torch.Tensor) -> NDArray[np.uint8]:
        """The image as the file takes it: pixels of uint8, before normalisation."""
        mean_C, std_C = (np.asarray(value)[:, None, None] for value in (self._pixels.mean, self._pixels.std))
        pixels = 255 * (image_1CHW.cpu().numpy() * std_C + mean_C)
        return np.ascontiguousarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))

    def routed(self, rule: ExitRule) -> Run:
        """The file of a rule."""
        model = self._compile(nested_model(self._pieces, rule, pixels=self._pixels))

        def run(image: NDArray[np.uint8]) -> tuple[int, int]:
            found = model(image)
            return int(found[CLASS][0]), int(found[EXIT][0])

        return run

    def plain(self) -> Run:
        """The file without early exits."""
        model = self._model(Route(len(self.cuts) - 1))
        return lambda image: int(model(image)[CLASS][0])

    def _model(self, route: Route) -> Model:
        if route not in self._models:
            self._models[route] = self._compile(self._file(route))
        return self._models[route]

    def _file(self, route: Route) -> ModelProto:
        if route.score is None:
            return prefix_model(self._pieces, route.exit, pixels=self._pixels)
        exits = range(len(self.cuts))
        thresholds = tuple(-np.inf if exit == route.exit else np.inf for exit in exits[:-1])
        return nested_model(self._pieces, ExitRule(route.score, tuple(exits), thresholds), pixels=self._pixels)

    @cached_property
    def _random(self) -> list[NDArray[np.uint8]]:
        """Random images, of different contrasts, so that networks are not equally sure of all."""
        random, shape = np.random.default_rng(0), self._image.shape
        contrasts = np.linspace(0.1, 1.0, MIXED_PER_EXIT * len(self.cuts))
        return [(255 * contrast * random.random(shape)).astype(np.uint8) for contrast in random.permutation(contrasts)]

    @property
    def _spread(self) -> ExitRule:
        """A rule by which about as many of the random images leave at every exit."""
        score = GATE if GATE in self._scores else self._scores[0]
        left, thresholds, exits = list(self._random), list[float](), len(self.cuts)
        for exit in range(exits - 1):
            model = self._model(Route(exit, score))
            sure = sorted(((float(model(image)[SCORE][0]), place) for place, image in enumerate(left)), reverse=True)
            leaving = sure[: max(1, len(left) // (exits - exit))]
            thresholds.append(leaving[-1][0] if leaving else np.inf)
            gone = {place for value, place in sure if value >= thresholds[-1]}
            left = [image for place, image in enumerate(left) if place not in gone]
        return ExitRule(score, tuple(range(exits)), tuple(thresholds))


def _pass(model: Model, image: NDArray[Any]) -> Pass:
    def run(_: Stamp) -> None:
        model(image)

    return run


def _spec(network: EarlyExitNetwork, image_NCHW: torch.Tensor) -> ImageSpec:
    with torch.inference_mode():
        classes = network(image_NCHW.cpu()).shape[-1]
    _, channels, height, width = image_NCHW.shape
    return ImageSpec(channels, height, width, classes)


def _weights(network: EarlyExitNetwork, image_NCHW: torch.Tensor) -> Weights:
    """MACs of the stages; the heads' parameters, which are the MACs of their linear layers."""
    heads = tuple(float(parameter_count(head)) for head in network.heads)
    return Weights(network.cuts, tuple(float(macs) for macs in stage_macs(network, tuple(image_NCHW.shape))), heads)
