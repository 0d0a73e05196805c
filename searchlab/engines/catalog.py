"""The engines by name: the only place that knows them all."""

import torch

from searchlab.engines.cuda_graphs import CudaGraphs
from searchlab.engines.engine import Engine
from searchlab.engines.onnx_runtime import OnnxRuntime
from searchlab.engines.onnxruntime_cuda import OnnxRuntimeCuda, TensorRt
from searchlab.engines.openvino import OpenVino
from searchlab.engines.torch_eager import TorchEager
from searchlab.errors import UserError, unknown
from searchlab.record import Machine
from searchlab.study import AUTO_ENGINE

ENGINES: dict[str, Engine] = {
    "onnxruntime": OnnxRuntime(),
    "torch": TorchEager(),
    "openvino": OpenVino(),
    "cuda-graphs": CudaGraphs(),
    "onnxruntime-cuda": OnnxRuntimeCuda(),
    "tensorrt": TensorRt(),
}
"""Name to engine; the first line of its docstring is its help text."""

DEFAULT = {"cpu": "onnxruntime", "cuda": "cuda-graphs"}
"""Type of device to the engine that "auto" stands for there."""

IN_PIECES = {"cpu": "torch", "cuda": "cuda-graphs"}
"""Type of device to the engine that runs a network piece by piece there."""


def engine_named(name: str, device: torch.device, where: str = "engine") -> tuple[str, torch.device]:
    """Returns the engine's own name ("auto" resolved), and the device that it runs on: the given one, or the CPU.

    A network may be trained on a GPU and measured on the CPU, where the engine runs on a CPU only.

    Raises:
        UserError: no engine has this name, its package is missing, or it does not run on this device.
    """
    if name == AUTO_ENGINE:
        name = DEFAULT[device.type]
    check_engine(name, where)
    if not runs_beside(name, device):
        known = ", ".join(other for other, engine in ENGINES.items() if device.type in engine.devices)
        what = f"the engine runs on {ENGINES[name].devices[0]} only"
        allowed = f"on {device.type}: {known}; see --device"
        raise UserError("engine-unusable", what, where=where, value=name, allowed=allowed)
    try:
        ENGINES[name].version()
    except UserError as error:
        raise error.at(where) from error
    return name, device if device.type in ENGINES[name].devices else torch.device("cpu")


def check_engine(name: str, where: str = "Study.engine") -> None:
    """Raises UserError if no engine has this name."""
    if name not in (AUTO_ENGINE, *ENGINES):
        raise unknown("engine", name, [AUTO_ENGINE, *ENGINES], where=where)


def runs_beside(name: str, device: torch.device) -> bool:
    """Whether the engine runs on a device, or on the CPU of its machine."""
    return device.type in ENGINES[name].devices or "cpu" in ENGINES[name].devices


def engine_again(machine: Machine, device: torch.device) -> tuple[str, torch.device]:
    """Returns the engine for measuring again what was measured on a machine, and its device: the default one if that
    engine does not run here, which makes it another machine.

    Raises:
        UserError: the package of the engine is missing.
    """
    known = machine.engine in ENGINES and runs_beside(machine.engine, device)
    return engine_named(machine.engine if known else AUTO_ENGINE, device)
