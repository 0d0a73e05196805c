"""Parameter counts against published ones for the same layout, and outputs against torchvision's, weight for weight."""

import pytest
import torch
from torch import nn
from torchvision import models

from searchlab.architecture import VGG, AlexNet, GoogLeNet, ImageSpec, ResNet
from searchlab.candidate import Candidate, Exit, Head
from searchlab.model.backbones.googlenet import MODULES
from searchlab.model.cost import network_cost
from searchlab.model.early_exit import build

CIFAR10, IMAGENET = ImageSpec(3, 32, 32, 10), ImageSpec(3, 224, 224, 1000)
FULLY_CONNECTED = Head(pool=7, hidden=(4096, 4096), dropout=0.5)
AUXILIARY = Head(pool=4, hidden=(1024,), dropout=0.7, reduce=128)
LARGE = GoogLeNet(large_kernel=3, stem="large")
STEM = {"stem_kernel": 7, "stem_stride": 2, "stem_pool": True}
VGGS = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}

TORCHVISION = {
    "resnet18": Candidate(ResNet((2, 2, 2, 2), 64, **STEM)),
    "resnet34": Candidate(ResNet((3, 4, 6, 3), 64, **STEM)),
    "resnet50": Candidate(ResNet((3, 4, 6, 3), 64, **STEM, block="bottleneck")),
    "resnet152": Candidate(ResNet((3, 8, 36, 3), 64, **STEM, block="bottleneck")),
    "googlenet": Candidate(LARGE),
    **{name: Candidate(VGG(layers, batch_norm=False), final=FULLY_CONNECTED) for name, layers in VGGS.items()},
    **{f"{name}_bn": Candidate(VGG(layers), final=FULLY_CONNECTED) for name, layers in VGGS.items()},
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_params_are_torchvisions(name):
    published = models.get_model_weights(name).DEFAULT.meta["num_params"]
    assert network_cost(TORCHVISION[name], IMAGENET).params == published


def test_googlenet_with_auxiliary_classifiers_is_torchvisions():
    with torch.device("meta"):
        auxiliary = models.googlenet(weights=None, aux_logits=True, init_weights=False)
    published = sum(parameter.numel() for parameter in auxiliary.parameters())
    exits = (Exit(3, AUXILIARY, 0.3), Exit(6, AUXILIARY, 0.3))
    cost = network_cost(Candidate(LARGE, exits), IMAGENET)
    assert [cost.stages[exit.cut].name for exit in exits] == ["4a", "4d"]
    assert cost.params == published == 13_004_888


@pytest.mark.parametrize("residual", [False, True])
def test_true_5x5_filters_cost_what_arithmetic_says_and_identities_nothing(residual):
    extra = sum((25 - 9) * before * after for _, _, _, before, after, _ in MODULES.values())
    small, large = (
        network_cost(Candidate(GoogLeNet(large_kernel=kernel, residual=residual)), CIFAR10) for kernel in (3, 5)
    )
    assert large.params - small.params == extra
    assert small.params == network_cost(Candidate(GoogLeNet(large_kernel=3)), CIFAR10).params


@pytest.mark.parametrize(
    ("candidate", "params"),
    [
        (Candidate(ResNet((2, 2, 2, 2), 64)), 11_173_962),
        (Candidate(ResNet((3, 4, 6, 3), 64)), 21_282_122),
        (Candidate(ResNet((3, 4, 6, 3), 64, block="bottleneck")), 23_520_842),
        # The published network leaves out the last normalisation, which the paper has.
        (Candidate(ResNet((2, 2, 2, 2), 64, block="preactivation")), 11_171_146 + 1_024),
    ],
    ids=["ResNet18", "ResNet34", "ResNet50", "PreActResNet18"],
)
def test_params_are_those_of_pytorch_cifar(candidate, params):
    """https://github.com/kuangliu/pytorch-cifar."""
    assert network_cost(candidate, CIFAR10).params == params


def test_alexnet_for_cifar_has_the_published_params():
    candidate = Candidate(AlexNet(), final=Head(pool=2, hidden=(4096, 4096), dropout=0.5))
    assert network_cost(candidate, CIFAR10).params == 23_272_266


@pytest.mark.parametrize(
    ("candidate", "published"),
    [
        (Candidate(ResNet((2, 2, 2, 2), 64, **STEM)), lambda: models.resnet18(num_classes=10)),
        pytest.param(
            Candidate(ResNet((3, 4, 6, 3), 64, **STEM, block="bottleneck")),
            lambda: models.resnet50(num_classes=10),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            Candidate(LARGE),
            lambda: models.googlenet(num_classes=10, aux_logits=False, init_weights=False),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            Candidate(VGG((1, 1, 2, 2, 2))),
            lambda: pooled_to_one(models.vgg11_bn(num_classes=10)),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["resnet18", "resnet50", "googlenet", "vgg11_bn"],
)
def test_with_its_weights_the_outputs_are_torchvisions(candidate, published):
    """Parameters and statistics in the order in which they are defined."""
    torch.manual_seed(0)
    theirs, ours = published().eval(), build(candidate, ImageSpec(3, 64, 64, 10)).eval()
    assert [layer.eps for layer in normalisations(ours)] == [layer.eps for layer in normalisations(theirs)]
    for layer in normalisations(theirs):
        nn.init.uniform_(layer.running_mean, -0.1, 0.1)
        nn.init.uniform_(layer.running_var, 0.5, 1.5)
    state = ours.state_dict()
    given = theirs.state_dict().values()
    ours.load_state_dict(dict(zip(state, given, strict=True)))
    images_NCHW = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images_NCHW)[:, 0], theirs(images_NCHW), rtol=1e-4, atol=1e-4)


def pooled_to_one(vgg):
    vgg.avgpool, vgg.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(512, 10)
    return vgg


def normalisations(network):
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
