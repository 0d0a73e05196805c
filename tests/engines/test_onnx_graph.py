"""Models with real exits against the torch runtime: logits, class and exit of every sample."""

import numpy as np
import onnx
import pytest
import torch
from onnx_examples import COLOUR, EXAMPLES, GREY, expected, network_of, noise, outputs_of, rules_for, scores_of, session
from quick_part import quick_part
from raises import raises_code
from torch import nn

from searchlab.architecture import ResNet
from searchlab.candidate import Candidate, Exit, Head
from searchlab.data.batches import Normaliser
from searchlab.engines.onnx_graph import Pixels, nested_model, pieces_of, prefix_model
from searchlab.engines.onnx_staged import staged_models
from searchlab.model.early_exit import build
from searchlab.operating_point import ExitRule

SAMPLES = 24


@pytest.fixture(scope="module")
def pieces():
    made = {}

    def get(name, **options):
        key = (name, *options)
        if key not in made:
            network, images = network_of(name)
            made[key] = pieces_of(network, images, **options)
        return made[key]

    return get


@pytest.mark.parametrize("name", quick_part(EXAMPLES, ["plain", "gated", "hard, generalist"]))
def test_a_file_with_real_exits_takes_every_sample_to_the_exit_class_and_logits_of_the_runtime(name, pieces):
    images_NCHW = noise(network_of(name)[1], SAMPLES, seed=1)
    for score in scores_of(name):
        for rule in rules_for(name, score, images_NCHW):
            logits_NC, exit_N = expected(name, rule, images_NCHW)
            found = outputs_of(nested_model(pieces(name), rule), images_NCHW.numpy())
            np.testing.assert_array_equal(found["exit"], exit_N)
            np.testing.assert_allclose(found["logits"], logits_NC, atol=1e-4)
            np.testing.assert_array_equal(found["class"], logits_NC.argmax(axis=1))
            softmax_NC = torch.from_numpy(logits_NC).double().softmax(dim=1).numpy()
            np.testing.assert_allclose(found["probabilities"], softmax_NC, atol=1e-4)
            if rule.thresholds:
                assert 0 < (exit_N == rule.exits[0]).sum() < SAMPLES
            assert np.isnan(found["score"][exit_N == rule.exits[-1]]).all()
            assert not np.isnan(found["score"][exit_N != rule.exits[-1]]).any()


def test_the_experts_of_other_groups_do_not_run(pieces):
    """Only one branch of every `If` is taken; with soft routing there is none."""
    rule = ExitRule("margin", (0,), ())
    hard, soft = (nested_model(pieces(name), rule) for name in ("hard", "soft"))
    assert count(hard.graph, "If") == 2 and count(soft.graph, "If") == 0
    # A router and two experts are in branches, of three.
    assert count(hard.graph, "Conv") == count(soft.graph, "Conv")
    assert sum(node.op_type == "Conv" for node in hard.graph.node) < count(soft.graph, "Conv") / 2


def count(graph, operator):
    branches = [each.g for node in graph.node for each in node.attribute if each.HasField("g")]
    return sum(node.op_type == operator for node in graph.node) + sum(count(branch, operator) for branch in branches)


def test_a_file_has_the_size_of_the_weights():
    images = COLOUR
    torch.manual_seed(0)
    network = build(Candidate(ResNet((2, 2), 32), (Exit(2),)), images)
    model = nested_model(pieces_of(network, images), ExitRule("margin", (0, 1), (0.5,)))
    onnx.checker.check_model(model, full_check=True)
    weights = 4 * sum(each.numel() for each in network.parameters())
    assert model.ByteSize() < 1.05 * weights


def test_thresholds_of_a_file_are_edited_without_a_new_export(pieces):
    images_NCHW = noise(GREY, 8).numpy()
    model = nested_model(pieces("plain"), ExitRule("margin", (0, 1, 2), (2.0, -1.0)))
    assert set(outputs_of(model, images_NCHW)["exit"]) == {1}
    for tensor in model.graph.initializer:
        if tensor.name == "threshold_0":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([-1.0]), "threshold_0"))
    assert set(outputs_of(model, images_NCHW)["exit"]) == {0}


def test_a_measurement_forces_every_exit_of_one_session(pieces):
    model = nested_model(pieces("plain"), ExitRule("entropy", (0, 1, 2), (0.0, 0.0)), overridable=True)
    for exit in range(3):
        forced = {f"threshold_{k}": np.array([np.inf if k < exit else -np.inf]) for k in range(2)}
        assert set(outputs_of(model, noise(GREY, 2).numpy(), **forced)["exit"]) == {exit}


def test_scores_near_one_are_told_apart_as_in_the_exit_table(pieces):
    """In float32, softmax of a sure network is 1 for most samples."""
    torch.manual_seed(0)
    network = build(*EXAMPLES["plain"])
    with torch.no_grad():
        network.heads[0][-1].weight.mul_(200)
    images_NCHW = noise(GREY, 32)
    with torch.inference_mode():
        logits_NC = network.eval()(images_NCHW)[:, 0]
    score_N = np.sort(logits_NC.double().softmax(dim=1).amax(dim=1).numpy())
    near = score_N[(score_N > 1 - 1e-8) & (score_N < 1)]
    assert len(near) > 4
    threshold = float(near[len(near) // 2])
    model = nested_model(pieces_of(network, GREY), ExitRule("max_softmax", (0, 2), (threshold,)))
    left = int((outputs_of(model, images_NCHW.numpy())["exit"] == 0).sum())
    assert abs(left - int((score_N >= threshold).sum())) <= 1 < left < 31


@pytest.mark.parametrize("name", ["plain", "hard, generalist"])
def test_the_model_of_one_exit_runs_nothing_behind_it(name, pieces):
    network, images = network_of(name)
    images_NCHW = noise(images, 4)
    for exit in range(len(network.cuts)):
        model = prefix_model(pieces(name), exit)
        found = outputs_of(model, images_NCHW.numpy())
        with torch.inference_mode():
            np.testing.assert_allclose(found["logits"], network(images_NCHW)[:, exit].numpy(), atol=1e-4)
        assert set(found["exit"]) == {exit}


@pytest.mark.parametrize("uint8", [True, False])
def test_pixels_are_normalised_inside(uint8, pieces):
    mean, std = (0.1, 0.5, 0.7), (0.2, 0.3, 0.1)
    network, images = network_of("torchvision")
    pixels_NCHW = torch.randint(256, (4, 3, images.height, images.width), dtype=torch.uint8)
    model = nested_model(pieces("torchvision"), ExitRule("margin", (1,), ()), pixels=Pixels(mean, std, uint8=uint8))
    given = pixels_NCHW.numpy() if uint8 else (pixels_NCHW / 255).numpy()
    with torch.inference_mode():
        logits_NC = network(Normaliser(torch.tensor(mean), torch.tensor(std))(pixels_NCHW))[:, 1].numpy()
    np.testing.assert_allclose(outputs_of(model, given)["logits"], logits_NC, atol=1e-4)


def test_a_score_of_a_users_own_decides_in_the_file(pieces):
    network, images = network_of("plain")

    def mine(logits_NC):
        return (logits_NC[:, 0] - logits_NC[:, 1]).abs().float()

    images_NCHW = noise(images, 8)
    with torch.inference_mode():
        score_N = mine(network(images_NCHW)[:, 0]).numpy()
    threshold = float(np.sort(score_N)[3:5].mean())
    model = nested_model(pieces_of(network, images, functions={"mine": mine}), ExitRule("mine", (0, 2), (threshold,)))
    np.testing.assert_array_equal(outputs_of(model, images_NCHW.numpy())["exit"] == 0, score_N >= threshold)
    with raises_code("unknown-score", value="other"):
        nested_model(pieces("plain"), ExitRule("other", (0, 2), (threshold,)))


@pytest.mark.parametrize("size", [(7, 5), (1, 1), (8, 8)])
def test_pooling_to_a_size_that_does_not_divide_the_map_is_exported(size):
    images = GREY
    images = type(images)(1, *size, 10)
    pool = min(3, *size)
    torch.manual_seed(0)
    network = build(Candidate(ResNet((1,), 4), (Exit(0, Head(pool=pool)),)), images).eval()
    images_NCHW = noise(images, 3)
    with torch.inference_mode():
        logits_NC = network(images_NCHW)[:, 0].numpy()
    found = outputs_of(prefix_model(pieces_of(network, images), 0), images_NCHW.numpy())
    np.testing.assert_allclose(found["logits"], logits_NC, atol=1e-5)


def test_a_layer_without_a_counterpart_is_named_with_its_place():
    class Strange(nn.Module):
        def forward(self, map_NCHW):
            return torch.special.i0e(map_NCHW)

    network = build(*EXAMPLES["plain"])
    network.stages[2] = Strange()
    with raises_code("unsupported-network", where="stages 2 to 2", mentions="i0e"):
        pieces_of(network, GREY)


def routed(models, rule, images_NCHW):
    """logits_NC and exit_N by the models of segments, over the whole batch."""
    rows_N, map_NCHW = np.arange(len(images_NCHW)), images_NCHW
    found_NC, exit_N = np.zeros((len(images_NCHW), 10), np.float32), np.zeros(len(images_NCHW), int)
    for place, exit in enumerate(rule.exits):
        leg = session(models[f"leg_{place}"])
        found = dict(
            zip(
                [each.name for each in leg.get_outputs()],
                leg.run(None, {leg.get_inputs()[0].name: map_NCHW}),
                strict=True,
            )
        )
        last = place == len(rule.thresholds)
        leaves_N = np.ones(len(rows_N), bool) if last else found["score"] >= rule.thresholds[place]
        head = models.get(f"head_{place}")
        logits = found["logits"][leaves_N] if head is None else None
        if head is not None and leaves_N.any():
            logits = session(head).run(None, {"map_in": found["map"][leaves_N]})[0]
        if leaves_N.any():
            found_NC[rows_N[leaves_N]], exit_N[rows_N[leaves_N]] = logits, exit
        if last:
            break
        rows_N, map_NCHW = rows_N[~leaves_N], found["map"][~leaves_N]
    return found_NC, exit_N


@pytest.mark.parametrize("name", quick_part(EXAMPLES, ["plain", "gated", "hard, generalist"]))
def test_models_of_segments_take_batches_to_the_same_exits(name, pieces):
    images_NCHW = noise(network_of(name)[1], SAMPLES, seed=1)
    for score in {scores_of(name)[0], scores_of(name)[-1]}:
        for rule in rules_for(name, score, images_NCHW):
            logits_NC, exit_N = expected(name, rule, images_NCHW)
            models = staged_models(pieces(name, dynamic=True), rule)
            found_NC, found_N = routed(models, rule, images_NCHW.numpy())
            np.testing.assert_array_equal(found_N, exit_N)
            np.testing.assert_allclose(found_NC, logits_NC, atol=1e-4)
