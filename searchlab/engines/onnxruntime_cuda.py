"""Engines "onnxruntime-cuda" and "tensorrt": the file with real exits on a GPU, through ONNX Runtime's providers.

Written against the documentation of the execution providers. Both need the package onnxruntime-gpu in place of
onnxruntime; TensorRT its own libraries, too. What a provider lacks runs in the next one.
"""

from typing import Any

import torch
from onnx import ModelProto

from searchlab.engines.engine import package
from searchlab.engines.file_engine import FileEngine
from searchlab.engines.onnx_runtime import Provider, compiled_for
from searchlab.engines.prepared_model import Model
from searchlab.errors import UserError

INSTALL = "pip uninstall onnxruntime && pip install onnxruntime-gpu"


class OnnxRuntimeCuda(FileEngine):
    """The exported file, in ONNX Runtime on a GPU.

    The image and the class are copied.
    """

    name = "onnxruntime-cuda"
    devices = ("cuda",)
    providers: tuple[str, ...] = ("CUDAExecutionProvider", "CPUExecutionProvider")

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

    def compiled(self, model: ModelProto, threads: int, device: torch.device) -> Model:
        """Compiles a model for a GPU."""
        return compiled_for(model, threads, [self._provider(name, device.index or 0) for name in self.providers])

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
