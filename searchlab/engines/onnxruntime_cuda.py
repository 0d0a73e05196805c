"""Engines "onnxruntime-cuda" and "tensorrt": the file with real exits on a GPU, through ONNX Runtime's providers.

Written against the documentation of the execution providers. Both need the package onnxruntime-gpu in place of
onnxruntime; TensorRT its own libraries, too. What a provider lacks runs in the next one.

Shape suffixes: N images, C channels, H and W pixels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from onnx import ModelProto

from searchlab.engines.engine import EngineOptions, Score, package
from searchlab.engines.onnx_runtime import Provider, compiled_for
from searchlab.engines.prepared_cache import prepared_once
from searchlab.engines.prepared_model import Model, PreparedModel
from searchlab.errors import UserError
from searchlab.model.early_exit import EarlyExitNetwork

INSTALL = "pip uninstall onnxruntime && pip install onnxruntime-gpu"


class OnnxRuntimeCuda:
    """The exported file, in ONNX Runtime on a GPU.

    The image and the class are copied.
    """

    devices: tuple[str, ...] = ("cuda",)
    name = "onnxruntime-cuda"
    providers: tuple[str, ...] = ("CUDAExecutionProvider", "CPUExecutionProvider")

    def threads(self) -> int:
        """One: what runs on the CPU is little."""
        return 1

    def version(self) -> str:
        """The version of onnxruntime.

        Raises:
            UserError: it is not installed, or not for GPUs.
        """
        runtime = package("onnxruntime", INSTALL)
        if self.providers[0] not in runtime.get_available_providers():
            what = "onnxruntime is installed without this execution provider"
            raise UserError("engine-missing", what, where=self.name, value=self.providers[0], allowed=INSTALL)
        return str(runtime.__version__)

    def variants(
        self,
        network: EarlyExitNetwork,
        image_NCHW: torch.Tensor,
        scores: Mapping[str, Score],
        options: EngineOptions,
    ) -> Sequence[PreparedModel]:
        """One way: the execution provider chooses the layouts itself."""
        given = [self._provider(name, image_NCHW.device.index or 0) for name in self.providers]

        def compiled(model: ModelProto) -> Model:
            return compiled_for(model, options.threads, given)

        return [prepared_once(self.name, network, image_NCHW, scores, compiled, options)]

    def _provider(self, name: str, index: int) -> Provider:
        """A GPU's provider with the number of the GPU."""
        options: dict[str, Any] = {} if name == "CPUExecutionProvider" else {"device_id": index}
        return name, options


class TensorRt(OnnxRuntimeCuda):
    """The exported file, in TensorRT through ONNX Runtime.

    What TensorRT lacks, such as the branches of exits, runs in CUDA.
    """

    name = "tensorrt"
    providers = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
