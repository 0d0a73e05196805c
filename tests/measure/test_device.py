import pytest
import torch
from raises import raises_code

from searchlab.measure import device as devices
from searchlab.measure.device import has_bf16, resolve_device, this_machine

CPU = torch.device("cpu")


@pytest.fixture
def gpus(monkeypatch):
    return lambda count: monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("count", "name", "device"),
    [
        (0, "auto", "cpu"),
        (0, "cpu", "cpu"),
        (1, "auto", "cuda"),
        (1, "cpu", "cpu"),
        (1, "cuda", "cuda"),
        (2, "cuda:1", "cuda:1"),
    ],
)
def test_a_device_that_is_there(gpus, count, name, device):
    gpus(count)
    assert resolve_device(name) == torch.device(device)


@pytest.mark.parametrize(
    ("count", "name", "mentions"),
    [
        (0, "gpu", "auto, cpu, cuda"),
        (0, "cuda", "here: cpu"),
        (1, "cuda:1", "here: cpu, cuda:0"),
        (1, "cuda:", ()),
        (1, "", ()),
    ],
)
def test_a_device_that_is_not_is_named_with_what_there_is(gpus, count, name, mentions):
    gpus(count)
    with raises_code("unknown-device", value=name, mentions=mentions):
        resolve_device(name)


def test_this_machine_names_itself_and_the_threads():
    machine = this_machine(CPU, 3)
    assert (machine.device, machine.threads, machine.torch) == ("cpu", 3, torch.__version__)
    assert machine.name and machine.label.startswith("cpu (3 threads)")


@pytest.mark.parametrize(
    ("flags", "expected"), [("avx2 avx512_bf16", True), ("amx_tile amx_bf16", True), ("avx2 avx512f", False)]
)
def test_bf16_on_a_cpu_follows_its_flags(monkeypatch, tmp_path, flags, expected):
    info = tmp_path / "cpuinfo"
    info.write_text(f"model name\t: A CPU\nflags\t\t: fpu {flags}\nbugs\t\t: none\n")
    monkeypatch.setattr(devices, "_CPU_INFO", info)
    monkeypatch.setattr(devices, "_BF16_HELPERS", ("_a_helper_of_another_version",))
    assert has_bf16(CPU) is expected
    assert this_machine(CPU, 1).name == "A CPU"


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_bf16_on_a_gpu_follows_its_capability(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert has_bf16(torch.device("cuda")) is expected
