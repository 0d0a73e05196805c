import json
from dataclasses import replace

import pytest
import torch

from searchlab.architecture import ImageSpec, ResNet
from searchlab.candidate import Candidate, Exit, Gate
from searchlab.errors import UserError
from searchlab.exits.scores import GATE
from searchlab.measure.clocks import CpuClock, CudaClock
from searchlab.measure.end_to_end import check_latency, end_to_end_ms, run_without_exits
from searchlab.measure.latency import LatencyOptions, example_image, measure_latency, prepared, segment_latency
from searchlab.measure.passes import gated_kinds, gated_pass, piece_kinds, segmented_pass
from searchlab.measure.segments import segments_of
from searchlab.model.early_exit import build
from searchlab.plain import from_plain, to_plain
from searchlab.record import LatencyReport

IMAGES = ImageSpec(1, 8, 8, 10)
CANDIDATE = Candidate(ResNet((1, 1), 4), (Exit(1),))
SCORES = {"first": lambda logits_NC: logits_NC[:, 0], "second": lambda logits_NC: logits_NC[:, 1]}
GATED = Candidate(ResNet((1, 1), 4), (Exit(0, gate=Gate()), Exit(1, gate=Gate())))
GATE_SCORE = {GATE: lambda gate_N1: gate_N1[:, 0]}
OPTIONS = LatencyOptions(budget_s=0, threads=1, fewest_rounds=2)
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
    with pytest.raises(UserError, match="unknown reference"):
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
    run = run_without_exits(segments_of(network, images_NCHW[:1], channels_last=False))
    expected = network.eval()(images_NCHW)[:, -1].argmax(dim=1).tolist()
    assert [run(image_CHW[None]) for image_CHW in images_NCHW] == expected


def test_a_segmented_pass_stamps_every_piece_once(network):
    image_NCHW = example_image(IMAGES, 1, CPU)
    segments = segments_of(network, image_NCHW, channels_last=False)
    pieces_ms = segmented_pass(segments, image_NCHW, SCORES["first"], CpuClock())()
    kinds = piece_kinds(segments)
    assert kinds == ["stage", "stage", "head", "decision", "stage", "head", "decision", "class"]
    assert len(pieces_ms) == len(kinds) and min(pieces_ms) > 0


def test_pieces_become_segments_and_the_class_is_paid_with_the_first_stage(network):
    segments = segments_of(network, example_image(IMAGES, 1, CPU), channels_last=False)
    pieces = torch.tensor([1.0, 2, 4, 8, 16, 32, 10, 64])
    found = segment_latency(
        segments, {"first": pieces.expand(3, 2, 8).numpy(), "second": 3 * pieces.expand(3, 2, 8).numpy()}
    )
    assert found.stages_ms == (2 * 65.0, 2 * 2.0, 2 * 16.0)
    assert found.heads_ms == (2 * 4.0, 2 * 32.0)
    assert found.decision_ms == {"first": 9.0, "second": 27.0}


@pytest.mark.parametrize("scores", [GATE_SCORE, SCORES | GATE_SCORE], ids=["gate alone", "all"])
def test_gates_are_measured_and_the_heads_too(scores):
    segments = measure_latency(build(GATED, IMAGES), "resnet8", IMAGES, scores, CPU, OPTIONS).segments
    assert (len(segments.stages_ms), len(segments.heads_ms), len(segments.gates_ms)) == (3, 3, 2)
    assert segments.decision_ms.keys() == scores.keys()
    assert min(*segments.stages_ms, *segments.heads_ms, *segments.gates_ms, *segments.decision_ms.values()) > 0


def test_gates_are_not_measured_where_no_rule_asks_them():
    segments = measure_latency(build(GATED, IMAGES), "resnet8", IMAGES, SCORES, CPU, OPTIONS).segments
    assert segments.gates_ms == () and len(segments.heads_ms) == 3


def test_a_gated_pass_runs_no_head_but_the_final_one():
    network = build(GATED, IMAGES)
    image_NCHW = example_image(IMAGES, 2, CPU)
    segments = segments_of(network, image_NCHW, channels_last=False)
    ran = []
    parts = {"gate": segments.gates, "head": segments.heads}
    for name, part in ((f"{kind} {i}", part) for kind, found in parts.items() for i, part in enumerate(found)):
        part.register_forward_hook(lambda module, inputs, output, name=name: ran.append(name))
    pieces_ms = gated_pass(segments, image_NCHW, GATE_SCORE[GATE], CpuClock())()
    assert ran == ["gate 0", "gate 1", "head 2"]
    kinds = gated_kinds(segments)
    assert kinds == ["stage", "gate", "decision", "stage", "gate", "decision", "stage", "final head", "class"]
    assert len(pieces_ms) == len(kinds) and min(pieces_ms) > 0


def test_pieces_of_gated_passes_join_those_of_the_others():
    segments = segments_of(build(GATED, IMAGES), example_image(IMAGES, 1, CPU), channels_last=False)
    by_gate = torch.tensor([1.0, 10, 2, 1, 20, 4, 1, 999, 8]).expand(3, 2, 9).numpy()
    by_logits = torch.tensor([3.0, 5, 7, 3, 6, 7, 3, 7, 7, 8]).expand(3, 2, 10).numpy()
    found = segment_latency(segments, {"first": by_logits, GATE: by_gate}, scale=2.0)
    assert found.stages_ms == (2 * (2 + 8), 4.0, 4.0)
    assert (found.heads_ms, found.gates_ms) == ((10.0, 12.0, 14.0), (20.0, 40.0))
    assert found.decision_ms == {"first": 14.0, GATE: 6.0}


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
        check = check_latency(segments, segments.whole, samples_NCHW, predict, {"first": SCORES["first"]}, OPTIONS)
    assert check.additive_ms == 1.5 and check.end_to_end_ms > 0
    assert found[0].decision_ms.keys() == {"first"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_graphs_compute_and_are_timed_as_the_network_is(network):
    device = torch.device("cuda")
    images_NCHW = example_image(IMAGES, 2, device)
    segments = segments_of(network, images_NCHW[:1], channels_last=True)
    network.to(device).eval()
    with torch.inference_mode():
        for image_1CHW in images_NCHW.split(1):
            torch.testing.assert_close(segments.whole(image_1CHW), network(image_1CHW)[:, -1], atol=1e-3, rtol=1e-3)
    pieces_ms = segmented_pass(segments, images_NCHW[:1], SCORES["first"], CudaClock())()
    assert len(pieces_ms) == len(piece_kinds(segments)) and min(pieces_ms) > 0
    report = measure_latency(network, "resnet8", IMAGES, SCORES, device, OPTIONS)
    assert report.machine.device == "cuda" and report.whole.p50 > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gates_are_captured_as_heads_are():
    device = torch.device("cuda")
    network = build(GATED, IMAGES).to(device).eval()
    images_NCHW = example_image(IMAGES, 3, device)
    segments = segments_of(network, images_NCHW[:1], channels_last=True)
    with torch.inference_mode():
        for image_1CHW in images_NCHW.split(1):
            segments.whole(image_1CHW)
            gates_1G = torch.cat([gate(image_1CHW) for gate in segments.gates], dim=1)
            expected_1G = network.gate_logits(network.maps(image_1CHW))
            torch.testing.assert_close(gates_1G, expected_1G, atol=1e-3, rtol=1e-3)
    found = measure_latency(network, "resnet8", IMAGES, GATE_SCORE, device, OPTIONS).segments
    assert len(found.gates_ms) == 2 and min(*found.gates_ms, *found.heads_ms) > 0
