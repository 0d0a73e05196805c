"""Torchvision's classifiers in pieces: the pieces are the whole, costs are right, mistakes are one clear line."""

import pytest
import torch
from quick_part import quick_part
from raises import raises_code
from safetensors.torch import save_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from searchlab.architecture import ImageSpec, Torchvision
from searchlab.candidate import Candidate, Exit, Head
from searchlab.model.backbones import torchvision as backbone
from searchlab.model.backbones.torchvision import torchvision_named, torchvision_stages
from searchlab.model.cost import network_cost, parameter_count
from searchlab.model.early_exit import build
from searchlab.serialization import from_plain, to_plain

CIFAR10 = ImageSpec(3, 32, 32, 10)
CUTS = {
    "resnet50": ("bn1", "layer1", "layer2.1", "layer3"),
    "mobilenet_v3_small": ("features.1", "features.4", "features"),
    "densenet121": ("features.denseblock1", "features.transition2", "features.norm5"),
    "efficientnet_b0": ("features.2", "features.5"),
    "googlenet": ("conv3", "inception4a", "inception4d"),
    "convnext_tiny": ("features.1", "features.5"),
    "shufflenet_v2_x1_0": ("conv1", "stage2", "stage3.1"),
    "squeezenet1_1": ("features.4", "features.9"),
    "regnet_y_400mf": ("stem", "trunk_output.block2"),
}


def published(name, classes=10):
    return models.get_model(name, num_classes=classes, **backbone.WITHOUT_AUXILIARY.get(name, {}))


@pytest.mark.parametrize("name", quick_part(CUTS, ["squeezenet1_1"]))
def test_the_pieces_in_a_row_are_the_whole_network(name):
    """From the same seed, so that the parameters are the same too; and no piece spoils the map it is given."""
    backbone._pieces.cache_clear()
    torch.manual_seed(0)
    stages = torchvision_stages(Torchvision(name, CUTS[name]), CIFAR10)
    torch.manual_seed(0)
    whole = published(name).eval()
    assert [stage.name for stage in stages] == [*CUTS[name], "rest"]
    maps, copies = [torch.randn(2, 3, 32, 32)], []
    with torch.no_grad():
        for stage in stages:
            copies.append(maps[-1].clone())
            maps.append(stage.make().eval()(maps[-1]))
            shape = (stage.channels, stage.height, stage.width) if stage is not stages[-1] else (stage.channels,)
            assert maps[-1].shape == (2, *shape)
        torch.testing.assert_close(maps[-1], whole(maps[0]), rtol=1e-5, atol=1e-6)
    assert all(torch.equal(now, then) for now, then in zip(maps, copies, strict=False))
    assert sum(parameter_count(stage.make()) for stage in stages) == parameter_count(whole)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        pytest.param("mobilenet_v3_small", 32, marks=pytest.mark.slow),
        pytest.param("resnext50_32x4d", 32, marks=pytest.mark.slow),
        pytest.param("swin_t", 45, marks=pytest.mark.slow),
        pytest.param("swin_v2_t", 45, marks=pytest.mark.slow),
        pytest.param("vit_b_32", 224, marks=pytest.mark.slow),
        pytest.param("maxvit_t", 224, marks=pytest.mark.slow),
    ],
)
def test_macs_are_those_that_torch_counts(name, side):
    candidate, images = Candidate(Torchvision(name)), ImageSpec(3, side, side, 10)
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        published(name).eval()(torch.empty(1, 3, side, side))
    cost = network_cost(candidate, images)
    assert cost.macs == counter.get_total_flops() // 2
    with torch.device("meta"):
        assert cost.params == parameter_count(published(name))


def test_exits_hang_on_the_cuts_and_the_classifier_is_its_own():
    candidate = Candidate(torchvision_named("torchvision:resnet18@layer1,layer2"), (Exit(0), Exit(1, Head(2))))
    assert from_plain(Candidate, to_plain(candidate)) == candidate
    cost, network = network_cost(candidate, CIFAR10), build(candidate, CIFAR10)
    assert [part.name for part in cost.stages] == ["layer1", "layer2", "rest"]
    assert cost.params == parameter_count(network) == parameter_count(published("resnet18")) + 65 * 10 + 513 * 10
    assert cost.heads[-1].params == cost.heads[-1].macs == 0
    assert isinstance(network.heads[-1], nn.Identity)
    network(torch.randn(4, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.slow
def test_training_is_not_fixed_by_the_trace():
    """Stochastic depth is at work where a stage is trained, and not where it is judged."""
    torch.manual_seed(0)
    stage = torchvision_stages(Torchvision("efficientnet_b0", ("features.7",)), CIFAR10)[0].make()
    images_NCHW = torch.randn(8, 3, 32, 32)
    for trains in (True, False):
        stage.train(trains)
        with torch.no_grad():
            assert torch.equal(stage(images_NCHW), stage(images_NCHW)) != trains


@pytest.mark.slow
def test_grey_images_are_repeated_in_three_channels():
    grey_NCHW = torch.randn(2, 1, 32, 32)
    made = []
    for channels, images_NCHW in ((1, grey_NCHW), (3, grey_NCHW.expand(-1, 3, -1, -1))):
        torch.manual_seed(0)
        network = build(Candidate(Torchvision("resnet18", ("layer1",))), ImageSpec(channels, 32, 32, 10)).eval()
        with torch.no_grad():
            made.append(network(images_NCHW))
    assert torch.equal(*made)


@pytest.mark.parametrize("name", quick_part(["googlenet", "regnet_y_400mf", "swin_t"], ["googlenet"]))
def test_counting_draws_no_random_numbers(name):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    backbone._pieces.cache_clear()
    network_cost.cache_clear()
    network_cost(Candidate(Torchvision(name)), CIFAR10)
    assert torch.rand(1) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("torchvision:resnet50@layer1,layer2", Torchvision("resnet50", ("layer1", "layer2"))),
        ("torchvision:vgg11@features.3", Torchvision("vgg11", ("features.3",))),
        ("torchvision:resnet50", Torchvision("resnet50")),
    ],
)
def test_a_name_says_the_model_and_its_cuts(text, expected):
    assert torchvision_named(text) == expected


@pytest.mark.parametrize("text", ["resnet50@layer1", "torchvision:", "torchvision:resnet50@", "torchvision:a@b,,c", ""])
def test_another_form_of_name_is_refused(text):
    with raises_code("unknown-architecture") as caught:
        torchvision_named(text)
    assert caught.value.value == text
    assert "torchvision:MODEL@MODULE,MODULE" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "images", "refused"),
    [
        (
            "resnet5",
            CIFAR10,
            raises_code("unknown-architecture", where="architecture", value="resnet5", mentions="resnet50"),
        ),
        (
            "xyz",
            CIFAR10,
            raises_code(
                "unknown-architecture", where="architecture", value="xyz", mentions="see torchvision.models.list_models"
            ),
        ),
        (
            "resnet18@layer9",
            CIFAR10,
            raises_code(
                "invalid-cut",
                where="torchvision:resnet18",
                value="layer9",
                mentions="cuts can be made after conv1, bn1, relu",
            ),
        ),
        (
            "resnet18@layer1.0.conv1",
            CIFAR10,
            raises_code("invalid-cut", where="torchvision:resnet18", value="layer1.0.conv1"),
        ),
        (
            "densenet121@features.denseblock1.denselayer1",
            CIFAR10,
            raises_code("invalid-cut", where="torchvision:densenet121", value="features.denseblock1.denselayer1"),
        ),
        ("resnet18@fc", CIFAR10, raises_code("invalid-cut", where="torchvision:resnet18", value="fc")),
        ("swin_t@features.1", CIFAR10, raises_code("invalid-cut", where="torchvision:swin_t", value="features.1")),
        (
            "resnet18@layer2,layer1",
            CIFAR10,
            raises_code("invalid-cut", where="torchvision:resnet18", value="layer2, layer1", mentions="layer1, layer2"),
        ),
        ("resnet18@layer1,layer1", CIFAR10, raises_code("invalid-cut", where="torchvision:resnet18")),
        ("resnet18@layer1.1,layer1", CIFAR10, raises_code("invalid-cut", where="torchvision:resnet18")),
        (
            "vgg11@features.3",
            ImageSpec(3, 28, 28, 10),
            raises_code(
                "unsupported-images", where="architecture", value="28 x 28", mentions=["vgg11", "at least 32 x 32"]
            ),
        ),
        (
            "googlenet",
            ImageSpec(1, 8, 8, 10),
            raises_code("unsupported-images", where="architecture", value="8 x 8", mentions="at least 15 x 15"),
        ),
        (
            "vit_b_32",
            ImageSpec(3, 256, 256, 10),
            raises_code(
                "unsupported-images", where="torchvision:vit_b_32", value="256 x 256", mentions="supported: 224 x"
            ),
        ),
        (
            "resnet18",
            ImageSpec(4, 32, 32, 10),
            raises_code("unsupported-images", where="torchvision:resnet18", value="4 channels"),
        ),
    ],
)
def test_mistakes_are_the_users_and_say_what_is_there(text, images, refused):
    with refused as caught:
        network_cost(Candidate(torchvision_named(f"torchvision:{text}")), images)
    assert "Proxy" not in str(caught.value)


@pytest.mark.slow
def test_modules_that_can_be_cut_are_those_of_two_levels():
    with raises_code("invalid-cut", where="torchvision:resnet18", value="stem") as caught:
        torchvision_stages(Torchvision("resnet18", ("stem",)), CIFAR10)
    listed = caught.value.allowed.removeprefix("cuts can be made after ").split(", ")
    assert {"maxpool", "layer1", "layer1.0", "layer4.1"} < set(listed)
    with torch.device("meta"):
        assert all(len(torchvision_stages(Torchvision("resnet18", (name,)), CIFAR10)) == 2 for name in listed)


@pytest.fixture
def weights(tmp_path):
    """A file of weights, and the network that they are from."""
    torch.manual_seed(3)
    network = published("resnet18").eval()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors", network


def test_weights_come_from_a_local_file(weights):
    path, network = weights
    stages = torchvision_stages(Torchvision("resnet18", ("layer2",), weights=str(path)), CIFAR10)
    images_NCHW = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        map_NCHW = stages[0].make().eval()(images_NCHW)
        torch.testing.assert_close(stages[1].make().eval()(map_NCHW), network(images_NCHW))


def test_costs_are_known_without_the_weights(tmp_path):
    assert (
        network_cost(Candidate(Torchvision("resnet18", weights=str(tmp_path / "none"))), CIFAR10).params == 11_181_642
    )


@pytest.mark.slow
def test_weights_that_do_not_fit_are_named(weights):
    path, network = weights
    state = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("layer4.1")}
    save_file({**state, "odd": torch.zeros(2), "bn1.num_batches_tracked": torch.zeros(3)}, path)
    with raises_code("weights-mismatch", where=str(path), mentions="resnet18") as caught:
        torchvision_stages(Torchvision("resnet18", weights=str(path)), ImageSpec(3, 32, 32, 100))
    line = str(caught.value)
    assert "bn1.num_batches_tracked has 3, not one number" in line
    assert line.endswith("layer4.1.bn1.weight is missing; and 13 more)")


def test_another_number_of_classes_does_not_fit(weights):
    with raises_code("weights-mismatch", where=str(weights[0])) as caught:
        torchvision_stages(Torchvision("resnet18", weights=str(weights[0])), ImageSpec(3, 32, 32, 100))
    assert caught.value.allowed == "fc.weight has 10x512, not 100x512; fc.bias has 10, not 100"


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        (None, raises_code("path-not-found", where="torchvision:resnet18")),
        (b"", raises_code("artefact-unreadable")),
        (b"x" * 99, raises_code("artefact-unreadable")),
    ],
)
def test_a_missing_or_invalid_weights_file_is_refused(tmp_path, content, refused):
    path = tmp_path / "weights.safetensors"
    if content is not None:
        path.write_bytes(content)
    with refused as caught:
        torchvision_stages(Torchvision("resnet18", weights=str(path)), CIFAR10)
    assert str(path) in str(caught.value)
