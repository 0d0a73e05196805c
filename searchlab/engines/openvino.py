"""Engine "openvino": the file with real exits, in OpenVINO on the CPU; an extra of the package.

Shape suffixes: N images, C channels, H and W pixels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from onnx import ModelProto

from searchlab.engines.engine import EngineOptions, Score, package
from searchlab.engines.onnx_graph import OUTPUTS
from searchlab.engines.prepared_cache import prepared_once
from searchlab.engines.prepared_model import Model, PreparedModel
from searchlab.errors import UserError
from searchlab.model.early_exit import EarlyExitNetwork

INSTALL = "pip install 'searchlab[openvino]'"


class OpenVino:
    """The exported file, in OpenVINO on the CPU, in float32."""

    devices = ("cpu",)

    def threads(self) -> int:
        """One: small networks gain little from more, and every call would wait for all cores to be free."""
        return 1

    def version(self) -> str:
        """The version of openvino, without its build.

        Raises:
            UserError: it is not installed.
        """
        return str(package("openvino", INSTALL).__version__).partition("-")[0]

    def variants(
        self,
        network: EarlyExitNetwork,
        image_NCHW: torch.Tensor,
        scores: Mapping[str, Score],
        options: EngineOptions,
    ) -> Sequence[PreparedModel]:
        """One way: OpenVINO chooses the layouts itself."""

        def compiled(model: ModelProto) -> Model:
            return _compiled(model, options.threads)

        return [prepared_once("openvino", network, image_NCHW, scores, compiled, options)]


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
