import pytest
import torch
from fake_records import CPU as OLD_CPU
from fake_records import GPU as OLD_GPU
from raises import raises_code
from tiny import tiny_study

from searchlab.engines.catalog import DEFAULT, ENGINES, engine_again, engine_named
from searchlab.study import AUTO_ENGINE, with_engine

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 1)


def test_the_default_engine_is_that_of_the_device(monkeypatch):
    assert engine_named(AUTO_ENGINE, CPU) == ("onnxruntime", CPU)
    assert engine_named(AUTO_ENGINE, CUDA) == ("cuda-graphs", CUDA)
    assert set(DEFAULT.values()) <= set(ENGINES)


def test_an_unknown_engine_is_refused_with_the_known_ones():
    with raises_code("unknown-engine", value="onnxruntim", mentions=["did you mean 'onnxruntime'", "torch"]):
        engine_named("onnxruntim", CPU)


def test_an_engine_for_gpus_is_refused_on_a_cpu_with_those_for_a_cpu():
    with raises_code("engine-unusable", value="cuda-graphs", mentions=["onnxruntime", "--device"]):
        engine_named("cuda-graphs", CPU)


def test_what_is_trained_on_a_gpu_may_be_measured_on_the_cpu():
    assert engine_named("onnxruntime", CUDA) == ("onnxruntime", CPU)
    assert engine_named("torch", CUDA) == ("torch", CUDA)


def test_what_was_measured_before_there_were_engines_is_measured_again_in_pytorch():
    assert engine_again(OLD_CPU, CPU) == ("torch", CPU)
    assert engine_again(OLD_GPU, CUDA) == ("cuda-graphs", CUDA)
    # On another machine it is another one's latency, which is refused where latencies must not mix.
    assert engine_again(OLD_GPU, CPU) == ("onnxruntime", CPU)


def test_a_study_that_was_begun_keeps_its_engine_and_one_that_names_an_engine_has_that():
    study = tiny_study()
    assert study.engine == AUTO_ENGINE and with_engine(study, "torch").engine == "torch"
    assert with_engine(study, None).engine == AUTO_ENGINE
    assert with_engine(tiny_study(engine="openvino"), "torch").engine == "openvino"


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_explains_itself_in_a_line_and_names_its_devices(name):
    engine = ENGINES[name]
    assert (engine.__doc__ or "").splitlines()[0] and set(engine.devices) <= {"cpu", "cuda"}


def test_files_run_on_one_thread_where_no_number_is_asked_for():
    """On two threads every call of a small network waited for the other core: 82 microseconds in place of 22."""
    assert {name for name, engine in ENGINES.items() if engine.threads() == 1} >= {"onnxruntime", "openvino"}
