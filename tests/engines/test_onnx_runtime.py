import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from raises import raises_code

from searchlab.architecture import ImageSpec, Partitioned, ResNet, Torchvision
from searchlab.candidate import Candidate, Exit, Gate
from searchlab.deploy.runtime import EarlyExitRuntime
from searchlab.deploy.scores import score_functions
from searchlab.engines import prepared_model
from searchlab.engines.catalog import ENGINES
from searchlab.engines.engine import EngineOptions
from searchlab.engines.onnx_runtime import CPU as PROVIDERS
from searchlab.engines.onnx_runtime import compiled_for
from searchlab.engines.route import Route
from searchlab.exits.scores import GATE
from searchlab.measure.latency import LatencyOptions, example_image, fastest, measure_latency
from searchlab.model.early_exit import build
from searchlab.operating_point import ExitRule

IMAGES = ImageSpec(1, 8, 8, 10)
PLAIN = Candidate(ResNet((1, 1), 4), (Exit(0), Exit(1)))
GATED = Candidate(ResNet((1, 1), 4), (Exit(0, gate=Gate()), Exit(1, gate=Gate())))
SMALL = ResNet((1,), 2)
HARD = Candidate(
    Partitioned(router=SMALL, experts=(SMALL, SMALL), groups=(tuple(range(5)), tuple(range(5, 10))), generalist=SMALL),
    (Exit(1),),
)
OPTIONS = LatencyOptions(budget_s=0, threads=1, fewest_rounds=2)
CPU = torch.device("cpu")
MEAN, STD = (0.4,), (0.3,)


def network_of(candidate, images=IMAGES):
    torch.manual_seed(0)
    network = build(candidate, images).eval()
    for gate in network.gates:
        # A gate that has learned nothing says the same of every image.
        torch.nn.init.normal_(gate.unit.linear.weight)
    return network


def real_images(images=IMAGES, count=12):
    """Normalised images of uint8."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, images.channels, images.height, images.width))
    return (torch.from_numpy(pixels).float() / 255 - MEAN[0]) / STD[0]


def prepared(network, scores, images=IMAGES, engine="onnxruntime"):
    channels = images.channels
    options = EngineOptions(1, mean=MEAN * channels, std=STD * channels)
    (own,) = ENGINES[engine].variants(network, example_image(images, 1, CPU), score_functions(scores), options)
    return own


CASES = [(PLAIN, "margin"), (GATED, GATE), (HARD, "entropy")]
IDS = ["plain", "gated", "partitioned"]


@pytest.mark.parametrize(("candidate", "score"), CASES, ids=IDS)
def test_the_file_takes_the_exit_and_the_class_of_the_torch_runtime(candidate, score):
    network, images_NCHW = network_of(candidate), real_images()
    own, exits = prepared(network, [score]), len(network.cuts)
    rule = own._spread
    runtime = EarlyExitRuntime(network, rule)
    run, plain = own.routed(rule), own.plain()
    expected = [runtime.classify(image_CHW[None]) for image_CHW in images_NCHW]
    assert [run(own.taken(image_CHW[None])) for image_CHW in images_NCHW] == expected
    with torch.inference_mode():
        final_N = network(images_NCHW)[:, -1].argmax(dim=1).tolist()
    assert [plain(own.taken(image_CHW[None])) for image_CHW in images_NCHW] == final_N
    assert rule.exits == tuple(range(exits))


@pytest.mark.slow
def test_a_classifier_of_torchvision_is_priced_in_onnxruntime():
    images = ImageSpec(3, 32, 32, 10)
    candidate = Candidate(Torchvision("squeezenet1_1", cuts=("features.4",)), (Exit(0),))
    report = measure_latency(
        network_of(candidate, images), "resnet8", images, score_functions(["margin"]), CPU, OPTIONS
    )
    assert report.machine.engine == "onnxruntime" and min(report.segments.stages_ms) > 0


@pytest.mark.parametrize(("candidate", "score"), CASES, ids=IDS)
def test_a_route_forces_its_exit_whatever_the_image(candidate, score):
    own = prepared(network_of(candidate), [score])
    for route in own.routes():
        found = own._model(route)(own._image)
        assert int(found[prepared_model.EXIT][0]) == route.exit, route


@pytest.mark.parametrize(("candidate", "score"), CASES, ids=IDS)
def test_mixed_samples_leave_at_several_exits_and_are_priced_by_those(candidate, score):
    own = prepared(network_of(candidate), [score])
    mixed = own.mixed()
    assert len({route.exit for route, _ in mixed}) > 1 and {route.score for route, _ in mixed} == {score}
    for _, one in mixed:
        one(lambda: None)


@pytest.mark.parametrize("candidate", [PLAIN, GATED, HARD], ids=IDS)
def test_a_report_of_the_default_engine_on_a_cpu_names_it_and_prices_every_piece(candidate):
    scores = score_functions(["margin", "max_logit", *([GATE] if candidate.gates else [])])
    report = measure_latency(network_of(candidate), "resnet8", IMAGES, scores, CPU, OPTIONS)
    machine, segments = report.machine, report.segments
    version = ENGINES["onnxruntime"].version()
    assert (machine.engine, machine.engine_version) == ("onnxruntime", version)
    assert f"onnxruntime {version}" in machine.label and f"onnxruntime {version}" in machine.in_full
    cuts = candidate.cuts
    assert (len(segments.stages_ms), len(segments.heads_ms)) == (cuts[-1] + 1, len(cuts))
    assert len(segments.gates_ms) == (len(cuts) - 1 if candidate.gates else 0)
    assert segments.decision_ms.keys() == scores.keys() and segments.stages_ms[0] > 0
    assert report.mixed.additive_ms > 0 and report.mixed.end_to_end_ms > 0


def test_measuring_in_onnxruntime_leaves_the_network_as_it_is():
    network = build(PLAIN, IMAGES)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    measure_latency(network, "resnet8", IMAGES, score_functions(["margin"]), CPU, OPTIONS)
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_network_is_exported_once_however_often_it_is_measured_and_again_once_it_has_learned(monkeypatch):
    exported, really = [], prepared_model.pieces_of
    monkeypatch.setattr(prepared_model, "pieces_of", lambda *a, **k: exported.append(1) or really(*a, **k))
    network = network_of(PLAIN)
    first = prepared(network, ["margin"])
    assert prepared(network, ["margin"]) is first and len(exported) == 1
    with torch.no_grad():
        next(network.parameters()).mul_(2)
    assert prepared(network, ["margin"]) is not first and len(exported) == 2


def test_a_batch_is_refused_in_one_line():
    with raises_code("engine-unusable", value=3, mentions="torch"):
        fastest(network_of(PLAIN), example_image(IMAGES, 3, CPU), {}, replace(OPTIONS, engine="onnxruntime"))


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    for name, missing in (("onnxruntime", "onnxruntime"), ("openvino", "openvino")):
        monkeypatch.setitem(sys.modules, missing, None)
        with raises_code("engine-missing", value=missing, mentions="pip install"):
            ENGINES[name].version()


@pytest.mark.parametrize(("domain", "opset"), [("ai.nowhere", 17), ("", 99)], ids=["operator", "opset"])
def test_an_operator_or_opset_that_onnxruntime_lacks_is_one_line_that_names_the_layer(domain, opset):
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("class", TensorProto.FLOAT, [1])
    node = helper.make_node("Sharpen" if domain else "Relu", ["image"], ["class"], name="/stem/Sharpen", domain=domain)
    imports = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(helper.make_graph([node], "odd", [image], [result]), opset_imports=imports, ir_version=8)
    with raises_code("unsupported-network", mentions="Sharpen" if domain else "opset") as raised:
        compiled_for(model, 1, PROVIDERS)
    assert "\n" not in str(raised.value)
    assert isinstance(model, onnx.ModelProto)


def test_a_price_in_openvino_where_it_is_installed():
    pytest.importorskip("openvino")
    network, images_NCHW = network_of(PLAIN), real_images()
    own = prepared(network, ["margin"], engine="openvino")
    rule = ExitRule("margin", (0, 2), (own._spread.thresholds[0],))
    runtime, run = EarlyExitRuntime(network, rule), own.routed(rule)
    for image_CHW in images_NCHW:
        assert run(own.taken(image_CHW[None])) == runtime.classify(image_CHW[None])
    report = measure_latency(
        network, "resnet8", IMAGES, score_functions(["margin"]), CPU, replace(OPTIONS, engine="openvino")
    )
    assert report.machine.engine == "openvino" and report.whole.p50 > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("engine", ["onnxruntime-cuda", "tensorrt"])
def test_a_price_on_a_gpu_where_the_provider_is_installed(engine):
    runtime = pytest.importorskip("onnxruntime")
    if ENGINES[engine].providers[0] not in runtime.get_available_providers():
        pytest.skip("onnxruntime is installed without this provider")
    options = replace(OPTIONS, engine=engine)
    report = measure_latency(
        network_of(PLAIN), "resnet8", IMAGES, score_functions(["margin"]), torch.device("cuda"), options
    )
    assert (report.machine.device, report.machine.engine) == ("cuda", engine) and report.whole.p50 > 0


def test_a_measurement_without_a_number_of_threads_is_on_the_threads_of_its_engine(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    machine = measure_latency(
        network_of(PLAIN), "resnet8", IMAGES, score_functions(["margin"]), CPU, replace(OPTIONS, threads=None)
    ).machine
    assert (machine.engine, machine.threads) == ("onnxruntime", 1)


def test_the_whole_network_is_the_last_exit_alone():
    own = prepared(network_of(PLAIN), ["margin"])
    own.whole()
    assert list(own._models) == [Route(2)]
