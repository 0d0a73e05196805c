"""Devices: selection, capabilities, and the Machine noun of a record."""

import platform
import re
from pathlib import Path

import torch

from searchlab.engines.catalog import ENGINES, IN_PIECES
from searchlab.errors import RunError
from searchlab.record import Machine

OUT_OF_MEMORY = "out of memory"
"""Prefix of the reason of an out-of-memory failure."""

_CPU_INFO = Path("/proc/cpuinfo")
_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}
# Private helpers of torch.cpu: only some versions have them, and only on Linux.
_BF16_HELPERS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def resolve_device(name: str) -> torch.device:
    """Returns the torch device for "auto" (CUDA if available), "cpu", "cuda" or "cuda:N".

    Raises:
        RunError: the name is invalid, or this machine lacks the device.
    """
    there = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if name == "auto":
        return torch.device("cuda" if len(there) > 1 else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise RunError(
            "unknown-device", "unknown device", value=name, allowed=f"auto, cpu, cuda, cuda:N; here: {', '.join(there)}"
        )
    if name not in there and not (name == "cuda" and len(there) > 1):
        raise RunError(
            "unknown-device", "device not found on this machine", value=name, allowed=f"here: {', '.join(there)}"
        )
    return torch.device(name)


def this_machine(device: torch.device, threads: int, engine: str = "") -> Machine:
    """Returns the machine of latencies on `device` in an engine of `ENGINES`; "": PyTorch, piece by piece.

    `threads` are those on the CPU.

    Raises:
        UserError: the engine's package is missing.
    """
    engine = engine or IN_PIECES[device.type]
    cuda = device.type == "cuda"
    return Machine(
        device="cuda" if cuda else "cpu",
        name=torch.cuda.get_device_name(device) if cuda else _cpu_name(),
        threads=threads,
        driver=_driver_version() if cuda else "",
        torch=torch.__version__,
        python=platform.python_version(),
        engine=engine,
        engine_version=ENGINES[engine].version(),
    )


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 matrix products are fast: CUDA capability 8 and up, CPUs with avx512_bf16 or AMX."""
    if device.type == "cuda":
        return bool(torch.cuda.get_device_capability(device)[0] >= 8)
    helpers = (getattr(torch.cpu, name, None) for name in _BF16_HELPERS)
    return bool(_BF16_FLAGS & set(_cpu_info("flags").split())) or any(helper() for helper in helpers if helper)


def out_of_memory(error: Exception) -> str:
    """Returns "out of memory: ..." in one line for an out-of-memory error; "" for any other."""
    # torch's CPU allocator has no exception type of its own; numpy and Python raise MemoryError, perhaps empty.
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
        return f"{OUT_OF_MEMORY}: {(str(error).splitlines() or ['no message'])[0]}"
    return ""


def is_usable(device: torch.device) -> bool:
    """Whether this process can still use a device: after some CUDA errors, every later call fails."""
    if device.type != "cuda":
        return True
    try:
        torch.cuda.synchronize(device)
    except RuntimeError:
        return False
    return True


def _cpu_name() -> str:
    return _cpu_info("model name") or platform.processor() or platform.machine()


def _cpu_info(field: str) -> str:
    """Returns a field of the first processor in /proc/cpuinfo, or ""."""
    text = _CPU_INFO.read_text() if _CPU_INFO.exists() else ""
    found = re.search(rf"^{field}\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _driver_version() -> str:
    text = _NVIDIA_DRIVER.read_text() if _NVIDIA_DRIVER.exists() else ""
    found = re.search(r"Kernel Module.*?(\d+\.\d+(\.\d+)?)", text)
    return found[1] if found else "unknown"
