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
from searchlab.errors import UserError
from searchlab.model.early_exit import EarlyExitNetwork

Provider = tuple[str, dict[str, Any]]
"""Name and options of an execution provider."""

FATAL = 4
"""Log severity: errors are raised, and need no second line on the terminal."""


class OnnxRuntime:
    """ONNX Runtime on the CPU: one file with real exits, as `searchlab export` writes it."""

    devices = ("cpu",)

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
            return session(model, options.threads, [("CPUExecutionProvider", {})])

        return [prepared_once("onnxruntime", network, image_NCHW, scores, compiled, options)]


def session(model: ModelProto, threads: int, providers: Sequence[Provider]) -> Model:
    """Compiles a model for some execution providers, the first that has an operator first.

    Threads do not spin between calls: the pool of one session would take the cores of the others that are timed beside
    it.

    Raises:
        UserError: it has an operator or an opset that ONNX Runtime lacks; the message names the layer.
    """
    runtime = package("onnxruntime", "pip install onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = FATAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        found = runtime.InferenceSession(model.SerializeToString(), options, providers=list(providers))
    except Exception as error:
        # Its exceptions have no base class of their own.
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        reason = " ".join(str(error).split())
        raise UserError(
            "engine-unusable", "it cannot run the network", where=f"onnxruntime {runtime.__version__}", allowed=reason
        ) from error
    name = found.get_inputs()[0].name

    def run(image: NDArray[Any]) -> Sequence[NDArray[Any]]:
        outputs: Sequence[NDArray[Any]] = found.run(None, {name: image})
        return outputs

    return run
