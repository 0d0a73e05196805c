"""Engine "onnxruntime": the file with real exits, in ONNX Runtime on the CPU.

Shape suffixes: N images, C channels, H and W pixels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from onnx import ModelProto

from searchlab.engines.engine import EngineOptions, Score, package
from searchlab.engines.prepared_cache import prepared_once
from searchlab.engines.prepared_model import Model, PreparedModel
from searchlab.model.early_exit import EarlyExitNetwork

Provider = tuple[str, dict[str, Any]]
"""Name and options of an execution provider."""

CPU: Sequence[Provider] = [("CPUExecutionProvider", {})]


class OnnxRuntime:
    """The exported file with real exits, in ONNX Runtime on the CPU."""

    devices = ("cpu",)

    def threads(self) -> int:
        """One: small networks gain little from more, and every call would wait for all cores to be free."""
        return 1

    def version(self) -> str:
        """The version of onnxruntime.

        Raises:
            UserError: it is not installed.
        """
        return str(package("onnxruntime", "pip install onnxruntime").__version__)

    def variants(
        self,
        network: EarlyExitNetwork,
        image_NCHW: torch.Tensor,
        scores: Mapping[str, Score],
        options: EngineOptions,
    ) -> Sequence[PreparedModel]:
        """One way: ONNX Runtime chooses the layouts itself."""

        def compiled(model: ModelProto) -> Model:
            return compiled_for(model, options.threads, CPU)

        return [prepared_once("onnxruntime", network, image_NCHW, scores, compiled, options)]


def compiled_for(model: ModelProto, threads: int, providers: Sequence[Provider]) -> Model:
    """Compiles a model for some execution providers, the first that has an operator first.

    Raises:
        UserError: it has an operator or an opset that ONNX Runtime lacks; the message names the node.
    """
    # Only now: a missing package is then a line that says how to install it.
    from searchlab.engines.onnx_sessions import session_of

    session = session_of(model, threads, "engine", providers)
    name = session.get_inputs()[0].name

    def run(image: NDArray[Any]) -> Sequence[NDArray[Any]]:
        outputs: Sequence[NDArray[Any]] = session.run(None, {name: image})
        return outputs

    return run
