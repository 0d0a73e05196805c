"""The engines by name: the only place that knows them all."""

import torch

from searchlab.engines.cuda_graphs import CudaGraphs
from searchlab.engines.engine import Engine
from searchlab.engines.onnx_runtime import OnnxRuntime
from searchlab.engines.torch_eager import TorchEager
from searchlab.errors import UserError, unknown

ENGINES: dict[str, Engine] = {
    "onnxruntime": OnnxRuntime(),
    "torch": TorchEager(),
    "cuda-graphs": CudaGraphs(),
}
"""Name to engine; the first line of its docstring is its help text."""

AUTO = "auto"
"""Name for the default engine of a device."""

DEFAULT = {"cpu": "onnxruntime", "cuda": "cuda-graphs"}
"""Type of device to the engine that "auto" stands for there."""

IN_PIECES = {"cpu": "torch", "cuda": "cuda-graphs"}
"""Type of device to the engine that runs a network piece by piece there."""


def engine_named(name: str, device: torch.device, where: str = "Study.engine") -> tuple[str, torch.device]:
    """Returns the engine's own name ("auto" resolved), and the device it runs on: the given one, or its own.

    A network may be trained on a GPU and measured on the CPU, where the engine runs on a CPU only.

    Raises:
        UserError: no engine has this name, its package is missing, or it has no device here.
    """
    if name == AUTO:
        name = DEFAULT[device.type]
    if name not in ENGINES:
        raise unknown("engine", name, [AUTO, *ENGINES], where=where)
    engine = ENGINES[name]
    if device.type not in engine.devices:
        if engine.devices[0] != "cpu":
            allowed = f"--device {engine.devices[0]}, or an engine for a {device.type}"
            raise UserError(
                "engine-unusable",
                f"the engine runs on {engine.devices[0]} only",
                where=where,
                value=name,
                allowed=allowed,
            )
        device = torch.device("cpu")
    engine.version()
    return name, device
