import json
from dataclasses import replace

import pytest
import torch
from raises import raises_code

from searchlab.architecture import ImageSpec, ResNet
from searchlab.candidate import Candidate, Exit, Gate
from searchlab.engines.cuda_graphs import captured_segments
from searchlab.engines.prepared_segments import PreparedSegments
from searchlab.engines.route import Route
from searchlab.engines.segments import route_pass, route_pieces, run_without_exits
from searchlab.engines.torch_eager import eager_segments
from searchlab.exits.scores import GATE
from searchlab.measure.clocks import CudaClock
from searchlab.measure.end_to_end import check_latency, end_to_end_ms
from searchlab.measure.latency import LatencyOptions, example_image, measure_latency, prepared
from searchlab.measure.passes import timed_pass
from searchlab.model.early_exit import build
from searchlab.record import LatencyReport
from searchlab.serialization import from_plain, to_plain

IMAGES = ImageSpec(1, 8, 8, 10)
CANDIDATE = Candidate(ResNet((1, 1), 4), (Exit(1),))
SCORES = {"first": lambda logits_NC: logits_NC[:, 0], "second": lambda logits_NC: logits_NC[:, 1]}
GATED = Candidate(ResNet((1, 1), 4), (Exit(0, gate=Gate()), Exit(1, gate=Gate())))
GATE_SCORE = {GATE: lambda gate_N1: gate_N1[:, 0]}
OPTIONS = LatencyOptions(budget_s=0, threads=1, fewest_rounds=2, engine="torch")
GRAPHS = replace(OPTIONS, engine="cuda-graphs")
CPU = torch.device("cpu")


@pytest.fixture
def network():
    return build(CANDIDATE, IMAGES)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_report_has_every_segment_and_survives_json(network, batch_size):
    report = measure_latency(network, "resnet8", IMAGES, SCORES, CPU, replace(OPTIONS, batch_size=batch_size))
    segments = report.segments
    assert (len(segments.stages_ms), len(segments.heads_ms)) == (3, 2)
    assert segments.decision_ms.keys() == SCORES.keys()
    assert min(*segments.stages_ms, *segments.heads_ms, *segments.decision_ms.values()) > 0
    assert 0 < report.whole.low <= report.whole.p50 <= report.whole.p90 <= report.whole.p99
    assert report.ratio.low <= report.ratio.value <= report.ratio.high
    assert (report.reference_name, report.batch_size, report.machine.threads) == ("resnet8", batch_size, 1)
    assert report.check is None
    assert from_plain(LatencyReport, json.loads(json.dumps(to_plain(report)))) == report


def test_measuring_leaves_the_network_as_it_is(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    measure_latency(network, "resnet8", IMAGES, SCORES, CPU, replace(OPTIONS, channels_last=True))
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(value.is_contiguous() for value in network.state_dict().values())


def test_an_unknown_reference_is_refused(network):
    with raises_code("unknown-reference", value="resnet9"):
        measure_latency(network, "resnet9", IMAGES, SCORES, CPU, OPTIONS)


@pytest.mark.parametrize("channels_last", [False, True, None])
def test_segments_compute_what_the_network_does(network, channels_last):
    image_NCHW = example_image(IMAGES, 2, CPU)
    segments = prepared(network, image_NCHW, replace(OPTIONS, channels_last=channels_last))
    with torch.inference_mode():
        torch.testing.assert_close(segments.whole(image_NCHW), network.eval()(image_NCHW)[:, -1])
    assert segments.cuts == (1, 2) and len(segments.stages) == 3


def test_the_network_runs_without_its_exits(network):
    images_NCHW = example_image(IMAGES, 5, CPU)
    run = run_without_exits(eager_segments(network, images_NCHW[:1], channels_last=False))
    expected = network.eval()(images_NCHW)[:, -1].argmax(dim=1).tolist()
    assert [run(image_CHW[None]) for image_CHW in images_NCHW] == expected


@pytest.mark.parametrize("scores", [GATE_SCORE, SCORES | GATE_SCORE], ids=["gate alone", "all"])
def test_gates_are_measured_and_the_heads_too(scores):
    segments = measure_latency(build(GATED, IMAGES), "resnet8", IMAGES, scores, CPU, OPTIONS).segments
    assert (len(segments.stages_ms), len(segments.heads_ms), len(segments.gates_ms)) == (3, 3, 2)
    assert segments.decision_ms.keys() == scores.keys()
    assert min(*segments.stages_ms, *segments.heads_ms, *segments.gates_ms, *segments.decision_ms.values()) > 0


def test_gates_are_not_measured_where_no_rule_asks_them():
    segments = measure_latency(build(GATED, IMAGES), "resnet8", IMAGES, SCORES, CPU, OPTIONS).segments
    assert segments.gates_ms == () and len(segments.heads_ms) == 3


def test_every_sample_is_run_alone_end_to_end():
    seen = []
    samples_NCHW = torch.arange(3.0).reshape(3, 1, 1, 1)
    found = end_to_end_ms(
        lambda image_1CHW: seen.append((tuple(image_1CHW.shape), image_1CHW.item())), samples_NCHW, OPTIONS
    )
    assert found > 0
    assert seen[:3] == [((1, 1, 1, 1), 0.0), ((1, 1, 1, 1), 1.0), ((1, 1, 1, 1), 2.0)] and len(seen) % 3 == 0


def test_a_check_predicts_from_segments_measured_with_the_network(network):
    samples_NCHW = example_image(IMAGES, 2, CPU)
    segments = prepared(network, samples_NCHW[:1], OPTIONS)
    found = []

    def predict(latency):
        found.append(latency)
        return 1.5

    with torch.inference_mode():
        own = PreparedSegments(segments, samples_NCHW[:1], {"first": SCORES["first"]})
        check = check_latency(own, segments.whole, samples_NCHW, predict, OPTIONS)
    assert check.additive_ms == 1.5 and check.end_to_end_ms > 0
    assert found[0].decision_ms.keys() == {"first"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_graphs_compute_and_are_timed_as_the_network_is(network):
    device = torch.device("cuda")
    images_NCHW = example_image(IMAGES, 2, device)
    segments = captured_segments(network, images_NCHW[:1], channels_last=True)
    network.to(device).eval()
    with torch.inference_mode():
        for image_1CHW in images_NCHW.split(1):
            torch.testing.assert_close(segments.whole(image_1CHW), network(image_1CHW)[:, -1], atol=1e-3, rtol=1e-3)
    route = Route(1, "first")
    pieces_ms = timed_pass(route_pass(segments, images_NCHW[:1], route, SCORES["first"]), CudaClock())()
    assert len(pieces_ms) == len(route_pieces(segments, route)) and min(pieces_ms) > 0
    report = measure_latency(network, "resnet8", IMAGES, SCORES, device, GRAPHS)
    assert report.machine.device == "cuda" and report.whole.p50 > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gates_are_captured_as_heads_are():
    device = torch.device("cuda")
    network = build(GATED, IMAGES).to(device).eval()
    images_NCHW = example_image(IMAGES, 3, device)
    segments = captured_segments(network, images_NCHW[:1], channels_last=True)
    with torch.inference_mode():
        for image_1CHW in images_NCHW.split(1):
            segments.whole(image_1CHW)
            gates_1G = torch.cat([gate(image_1CHW) for gate in segments.gates], dim=1)
            expected_1G = network.gate_logits(network.maps(image_1CHW))
            torch.testing.assert_close(gates_1G, expected_1G, atol=1e-3, rtol=1e-3)
    found = measure_latency(network, "resnet8", IMAGES, GATE_SCORE, device, GRAPHS).segments
    assert len(found.gates_ms) == 2 and min(*found.gates_ms, *found.heads_ms) > 0
