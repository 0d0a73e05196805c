"""Engine "onnxruntime": the file with real exits, in ONNX Runtime on the CPU."""

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from onnx import ModelProto

from searchlab.engines.engine import package
from searchlab.engines.file_engine import FileEngine
from searchlab.engines.prepared_model import Model

Provider = tuple[str, dict[str, Any]]
"""Name and options of an execution provider."""

CPU: Sequence[Provider] = [("CPUExecutionProvider", {})]


class OnnxRuntime(FileEngine):
    """The exported file with real exits, in ONNX Runtime on the CPU."""

    name = "onnxruntime"
    devices = ("cpu",)

    def version(self) -> str:
        """The version of onnxruntime.

        Raises:
            UserError: it is not installed.
        """
        return str(package("onnxruntime", "pip install onnxruntime").__version__)

    def compiled(self, model: ModelProto, threads: int, device: torch.device) -> Model:
        """Compiles a model for the CPU."""
        return compiled_for(model, threads, CPU)


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
