import optuna
import pytest

from searchlab.architecture import VGG, AlexNet, GoogLeNet, ImageSpec, ResNet
from searchlab.candidate import Head
from searchlab.limits import Limits
from searchlab.model.cost import network_cost
from searchlab.model.width import excess_over
from searchlab.search.catalog import find, load_space, load_studies
from searchlab.search.spaces import enqueued_candidates, propose
from searchlab.study import Study

CIFAR = ImageSpec(3, 32, 32, 10)
SPACE = load_space(find("space", "checkpoint"))
STUDIES = load_studies(find("study", "paper_checkpoint"))

# Network: backbone, the stages with a checkpoint, the values that each pools to.
PAPER = {
    "AlexNet": (AlexNet(), ("conv3",), (3456,)),
    "VGG-16": (VGG((2, 2, 3, 3, 3)), ("block3.conv3",), (4096,)),
    "ResNet34": (ResNet((3, 4, 6, 3), 64), ("layer2.block4", "layer3.block3", "layer3.block6"), (3200, 4096, 4096)),
    "ResNet50": (ResNet((3, 4, 6, 3), 64, block="bottleneck"), ("layer3.block1",), (4096,)),
    "InceptionV1": (GoogLeNet(), ("4a", "4c", "4e"), (4608, 4608, 3328)),
}


def test_the_papers_networks_are_points_of_the_space():
    for study in STUDIES[:2]:
        for row, candidate in zip(study.rows, enqueued_candidates(SPACE, CIFAR, study), strict=True):
            architecture, stages, values = PAPER[row.split(" on ")[0]]
            cost = network_cost(candidate, CIFAR)
            assert candidate.architecture == architecture
            assert tuple(cost.stages[exit.cut].name for exit in candidate.exits) == stages
            pooled = [(head.params - 2048 * (1024 + 2) - 1024 * 2 - 1025 * 10) // 2048 for head in cost.heads[:-1]]
            assert tuple(pooled) == values
            heads = {(exit.head.hidden, exit.head.dropout, exit.head.batch_norm) for exit in candidate.exits}
            assert heads == {((2048, 1024), 0.7, True)}
            training = candidate.training
            assert (training.regime, training.heads.optimizer, training.heads.weight_decay) == ("frozen", "adam", 4e-5)
            assert training.heads.stored and round(study.epochs * training.heads.epochs) == 5


def test_the_small_networks_have_their_checkpoints_where_the_large_ones_have_them():
    small = STUDIES[2]
    for row, candidate in zip(small.rows, enqueued_candidates(SPACE, CIFAR, small), strict=True):
        _, stages, _ = PAPER[row.removeprefix("small ").split(" on ")[0]]
        cost = network_cost(candidate, CIFAR)
        assert tuple(cost.stages[exit.cut].name for exit in candidate.exits) == stages
        assert cost.params <= small.max_params and 14 <= candidate.architecture.width <= 24


def asked(images=CIFAR, limits=None, **known):
    parameters = {"network": "resnet34", "exits": 3, "first_layer": 0.4, "last_layer": 0.9, "pooled_values": 3500}
    parameters |= {"hidden1": 2048, "hidden2": 1024, "dropout": 0.7, "learning_rate": 0.1, "head_epochs": 0.3}
    trial = optuna.trial.FixedTrial(parameters | known)
    return propose(SPACE, trial, images, Study("checkpoint", "none", **(limits or {})))


def test_exits_are_spread_evenly_from_the_first_layer_to_the_last():
    assert [exit.cut for exit in asked().exits] == [6, 10, 14]
    assert [exit.cut for exit in asked(exits=2).exits] == [6, 14]
    assert [exit.cut for exit in asked(exits=1).exits] == [6]
    # A last layer before the first is the first.
    assert [exit.cut for exit in asked(first_layer=0.7, last_layer=0.5).exits] == [10]


@pytest.mark.parametrize("limits", [{"max_params": 300_000}, {"max_macs": 3_000_000}, {"max_params": 5_000_000}])
@pytest.mark.parametrize("network", ["alexnet", "vgg16", "resnet34", "resnet50", "inceptionv1"])
def test_under_a_cap_heads_give_way_and_the_width_takes_the_rest(network, limits):
    candidate = asked(network=network, limits=limits)
    cap = Limits(**limits)
    cost = network_cost(candidate, CIFAR)
    assert excess_over(cost, cap) == {}
    assert candidate.exits[0].head.hidden[0] < 2048
    wider = excess_over(network_cost(asked(network=network, limits={k: 4 * v for k, v in limits.items()}), CIFAR), cap)
    assert wider, "what needs more than the cap is there with a larger one"
    assert candidate.architecture.width > 1


def test_small_heads_are_left_as_they_are_under_a_cap():
    candidate = asked(pooled_values=64, hidden1=32, hidden2=32, limits={"max_params": 300_000})
    assert candidate.exits[0].head == Head(1, (32, 32), 0.7, batch_norm=True)


def test_on_a_map_of_one_pixel_alexnet_pools_to_that():
    assert asked(ImageSpec(1, 8, 8, 10), network="alexnet", exits=1).final == Head(1, (4096, 4096), 0.5)
