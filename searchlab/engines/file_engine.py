"""Base of the engines that run the exported file: they differ in what compiles it, and in their devices.

Shape suffixes: N images, C channels, H and W pixels.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from onnx import ModelProto

from searchlab.engines.engine import EngineOptions, Score
from searchlab.engines.prepared_cache import prepared_once
from searchlab.engines.prepared_model import Model, PreparedModel
from searchlab.model.early_exit import EarlyExitNetwork


class FileEngine(ABC):
    """An engine that runs the exported file with real exits."""

    name: str
    devices: tuple[str, ...]

    def threads(self) -> int:
        """One: small networks gain little from more, and every call would wait for all cores to be free."""
        return 1

    @abstractmethod
    def version(self) -> str:
        """The version of what executes.

        Raises:
            UserError: its package is missing; the message says how to install it.
        """

    @abstractmethod
    def compiled(self, model: ModelProto, threads: int, device: torch.device) -> Model:
        """Compiles a model.

        Raises:
            UserError: it has an operator or an opset that the engine lacks; the message names it.
        """

    def variants(
        self,
        network: EarlyExitNetwork,
        image_NCHW: torch.Tensor,
        scores: Mapping[str, Score],
        options: EngineOptions,
    ) -> Sequence[PreparedModel]:
        """One way: the engine chooses the layouts itself."""

        def compiled(model: ModelProto) -> Model:
            return self.compiled(model, options.threads, image_NCHW.device)

        return [prepared_once(self.name, network, image_NCHW, scores, compiled, options)]
