"""Engine "openvino": the file with real exits, in OpenVINO on the CPU; an extra of the package."""

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from onnx import ModelProto

from searchlab.engines.engine import package
from searchlab.engines.file_engine import FileEngine
from searchlab.engines.onnx_graph import OUTPUTS
from searchlab.engines.prepared_model import Model
from searchlab.errors import UserError

INSTALL = "pip install 'searchlab[openvino]'"


class OpenVino(FileEngine):
    """The exported file, in OpenVINO on the CPU, in float32."""

    name = "openvino"
    devices = ("cpu",)

    def version(self) -> str:
        """The version of openvino, without its build.

        Raises:
            UserError: it is not installed.
        """
        return str(package("openvino", INSTALL).__version__).partition("-")[0]

    def compiled(self, model: ModelProto, threads: int, device: torch.device) -> Model:
        """Compiles a model for the CPU."""
        return _compiled(model, threads)


def _compiled(model: ModelProto, threads: int) -> Model:
    """Compiles a model for one request at a time, in float32.

    Raises:
        UserError: it has an operator that OpenVINO lacks; the message names it.
    """
    openvino = package("openvino", INSTALL)
    wanted = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        core = openvino.Core()
        request = core.compile_model(core.read_model(model.SerializeToString()), "CPU", wanted).create_infer_request()
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError("engine-unusable", "it cannot run the network", where="openvino", allowed=reason) from error

    def run(image: NDArray[Any]) -> Sequence[NDArray[Any]]:
        request.infer([image], share_inputs=True)
        outputs: Sequence[NDArray[Any]] = [request.get_tensor(name).data for name in OUTPUTS]
        return outputs

    return run
