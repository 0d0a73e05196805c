"""Which device, what it can do, and how a record names it."""

import platform
import re
from pathlib import Path

import torch

from searchlab.errors import RunError
from searchlab.record import Machine

OUT_OF_MEMORY = "out of memory"
"""How the reason of such a failure begins."""

_CPU_INFO = Path("/proc/cpuinfo")
_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}
# Private helpers of torch.cpu: some versions have them, and other systems than Linux have nothing else.
_BF16_HELPERS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def resolve_device(name: str) -> torch.device:
    """The torch device for "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".

    Raises:
        RunError: the name is none of these, or this machine has no such device.
    """
    there = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if name == "auto":
        return torch.device("cuda" if len(there) > 1 else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise RunError("unknown device", value=name, allowed=f"auto, cpu, cuda, cuda:N; here: {', '.join(there)}")
    if name not in there and not (name == "cuda" and len(there) > 1):
        raise RunError("no such device on this machine", value=name, allowed=f"here: {', '.join(there)}")
    return torch.device(name)


def this_machine(device: torch.device, threads: int) -> Machine:
    """The machine that a latency on `device` belongs to; `threads` are torch's on the CPU."""
    cuda = device.type == "cuda"
    return Machine(
        device="cuda" if cuda else "cpu",
        name=torch.cuda.get_device_name(device) if cuda else _cpu_name(),
        threads=threads,
        driver=_driver_version() if cuda else "",
        torch=torch.__version__,
        python=platform.python_version(),
    )


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 matrix products are worth it: CUDA capability 8 and up, CPUs with avx512_bf16 or AMX."""
    if device.type == "cuda":
        return bool(torch.cuda.get_device_capability(device)[0] >= 8)
    helpers = (getattr(torch.cpu, name, None) for name in _BF16_HELPERS)
    return bool(_BF16_FLAGS & set(_cpu_info("flags").split())) or any(helper() for helper in helpers if helper)


def out_of_memory(error: Exception) -> str:
    """ "out of memory: ..." in one line where an error says so; "" where it says something else."""
    # The CPU's allocator of torch has no exception of its own; numpy and Python raise MemoryError, which may be empty.
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
        return f"{OUT_OF_MEMORY}: {(str(error).splitlines() or ['no message'])[0]}"
    return ""


def is_usable(device: torch.device) -> bool:
    """Whether this process can go on with a device: after some CUDA errors, every later call fails until it ends."""
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
    """A field of the first processor in /proc/cpuinfo, or "" where there is none."""
    text = _CPU_INFO.read_text() if _CPU_INFO.exists() else ""
    found = re.search(rf"^{field}\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _driver_version() -> str:
    text = _NVIDIA_DRIVER.read_text() if _NVIDIA_DRIVER.exists() else ""
    found = re.search(r"Kernel Module.*?(\d+\.\d+(\.\d+)?)", text)
    return found[1] if found else "unknown"
