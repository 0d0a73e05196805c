"""The networks of paper 002 are points of its space."""

import optuna
import pytest

from searchlab.architecture import VGG, GoogLeNet, ImageSpec, ResNet
from searchlab.candidate import Candidate, Head
from searchlab.model.cost import network_cost
from searchlab.search.catalog import find, load_space
from searchlab.search.spaces import propose
from searchlab.study import Study

CIFAR, MNIST, DIGITS = ImageSpec(3, 32, 32, 10), ImageSpec(1, 28, 28, 10), ImageSpec(1, 8, 8, 10)
VARIANT = {"large_kernel": 3, "residual": False, "auxiliary": False, "batch_norm": False, "stem": "small"}
PLAIN = {"width": 64} | VARIANT
VGG19 = {"network": "vgg19", "schedule": "plateau", "patience": 10, "learning_rate": 0.01}
GOOGLENET = {"network": "googlenet", "schedule": "every", "patience": 0, "learning_rate": 0.1}
RESNET18 = {"network": "resnet18", "schedule": "plateau", "patience": 1, "learning_rate": 0.1}


def point(images: ImageSpec, parameters: dict, **limits) -> Candidate:
    trials = optuna.create_study()
    trials.enqueue_trial(PLAIN | parameters)
    study = Study(space="deeper", data="cifar10", **limits)
    return propose(load_space(find("space", "deeper")), trials.ask(), images, study)


@pytest.mark.parametrize(
    ("parameters", "architecture", "factor"),
    [
        (VGG19, VGG((2, 2, 4, 4, 4), 64, batch_norm=False), 0.1),
        (GOOGLENET, GoogLeNet(64, large_kernel=3), 0.96),
        (GOOGLENET | {"large_kernel": 5, "residual": True}, GoogLeNet(64, large_kernel=5, residual=True), 0.96),
        (GOOGLENET | {"stem": "large"}, GoogLeNet(64, large_kernel=3, stem="large"), 0.96),
        (RESNET18, ResNet((2, 2, 2, 2), 64), 0.1),
        (RESNET18 | {"stem": "large"}, ResNet((2, 2, 2, 2), 64, stem_kernel=7, stem_stride=2, stem_pool=True), 0.1),
    ],
    ids=["VGG19", "GoogLeNet", "residuals and 5x5", "GoogLeNet's large stem", "ResNet18", "ResNet18's large stem"],
)
def test_the_papers_networks_and_their_training(parameters, architecture, factor):
    candidate = point(CIFAR, parameters)
    training = candidate.training
    assert candidate.architecture == architecture
    assert candidate.exits == ()
    assert (training.batch_size, training.momentum, training.nesterov, training.ema) == (256, 0.9, False, 0)
    assert training.weight_decay / training.learning_rate == pytest.approx(5e-4)
    assert (training.schedule, training.learning_rate) == (parameters["schedule"], parameters["learning_rate"])
    assert (training.decay.factor, training.decay.patience, training.decay.every) == (factor, parameters["patience"], 8)
    assert training.augmentation.flip == "random"
    assert point(MNIST, parameters).training.augmentation.flip == "none"


def test_vgg19_has_nineteen_layers_of_weights():
    names = [part.name for part in network_cost(point(CIFAR, VGG19), CIFAR).stages]
    assert len(names) + len(point(CIFAR, VGG19).final.hidden) + 1 == 19


@pytest.mark.parametrize(
    ("images", "stem", "pool"),
    [
        (CIFAR, "small", 4),
        (CIFAR, "large", 2),
        (MNIST, "large", 1),
        (DIGITS, "small", 4),
        (DIGITS, "large", 4),
        (ImageSpec(1, 7, 9, 10), "small", 3),
    ],
)
def test_auxiliary_classifiers_hang_on_4a_and_4d(images, stem, pool):
    """They pool to 4 x 4, or to what the map has; the large stem gives way to the small one on the smallest images."""
    candidate = point(images, GOOGLENET | {"auxiliary": True, "stem": stem})
    cost = network_cost(candidate, images)
    assert [cost.stages[cut].name for cut in cost.cuts[:-1]] == ["4a", "4d"]
    head = Head(pool, (1024,), dropout=0.7, reduce=128)
    assert [(exit.head, exit.loss_weight) for exit in candidate.exits] == [(head, 0.3)] * 2


@pytest.mark.parametrize("parameters", [VGG19, GOOGLENET | {"auxiliary": True}, RESNET18], ids=lambda p: p["network"])
def test_under_a_cap_the_full_width_is_the_widest_that_holds(parameters):
    cap = 200_000
    full, half = (point(CIFAR, parameters | {"width": width}, max_params=cap) for width in (64, 32))
    assert 0.7 * cap < network_cost(full, CIFAR).params <= cap
    assert half.architecture.width == full.architecture.width // 2
    assert point(CIFAR, parameters, max_params=10**9) == point(CIFAR, parameters)
