"""The space of gated exits: what paper 001's study enqueues are points of it, and alpha is dense at the cliff."""

import optuna
import pytest

from searchlab.architecture import ImageSpec, ResNet
from searchlab.model.cost import network_cost
from searchlab.search.catalog import find, load_space, load_studies
from searchlab.search.spaces import enqueued_candidates, propose
from searchlab.study import Study

CIFAR = ImageSpec(3, 32, 32, 10)
SOURCE = find("study", "paper_gates")
SPACE = load_space(find("space", "gates", beside=SOURCE.path))
STUDIES = {study.name: study for study in load_studies(SOURCE)}


@pytest.mark.parametrize(
    ("name", "architecture", "cuts"),
    [
        ("paper_gates-resnet50", ResNet((3, 4, 6, 3), 64, block="bottleneck"), (3, 7, 13, 16)),
        ("paper_gates-small", ResNet((2, 2, 6), 16), (5, 7, 9, 10)),
    ],
)
def test_what_the_study_enqueues_is_one_backbone_in_two_manners(name, architecture, cuts):
    study = STUDIES[name]
    gated, joint = enqueued_candidates(SPACE, CIFAR, study)
    assert study.rows == ("EarlyExit", "BranchyNet")
    assert gated.architecture == joint.architecture == architecture
    assert gated.cuts == joint.cuts == cuts
    assert (gated.training.regime, joint.training.regime) == ("gates", "joint")
    assert len(gated.gates) == len(cuts) - 1 and joint.gates == ()
    assert gated.heads == joint.heads
    assert gated.training.gate_loss_weight == pytest.approx(0.6)
    assert network_cost(gated, CIFAR).params <= study.max_params


def test_a_resnet50_has_the_parameters_of_a_resnet50():
    """For 10 classes and a stem of 3x3, as it is published for CIFAR-10, and its exits besides."""
    gated, joint = (
        network_cost(each, CIFAR) for each in enqueued_candidates(SPACE, CIFAR, STUDIES["paper_gates-resnet50"])
    )
    for cost in (gated, joint):
        assert sum(stage.params for stage in cost.stages) + cost.heads[-1].params == 23_520_842


def sampled(count: int) -> list:
    study, sampler = Study("gates", "none"), optuna.samplers.RandomSampler(seed=0)
    trials = optuna.create_study(sampler=sampler)
    return [propose(SPACE, trials.ask(), CIFAR, study) for _ in range(count)]


def test_half_of_all_alphas_lie_at_the_cliff_and_both_ends_are_there():
    alphas = [candidate.training.gate_loss_weight for candidate in sampled(100)]
    assert 0.35 < sum(0.75 <= alpha <= 0.9 for alpha in alphas) / len(alphas) < 0.65
    assert min(alphas) < 0.2 and max(alphas) > 0.95


def test_everything_that_may_vary_does():
    candidates = sampled(100)
    assert {candidate.architecture.block for candidate in candidates} == {"basic", "bottleneck"}
    assert {exit.head.pool for candidate in candidates for exit in candidate.exits} == {1, 2, 4}
    assert {gate.pool for candidate in candidates for gate in candidate.gates} == {1, 2, 4}
    assert {len(candidate.exits) for candidate in candidates} == {1, 2, 3, 4}
    assert {candidate.training.regime for candidate in candidates} == {"gates", "joint"}
    assert all(bool(candidate.gates) == (candidate.training.regime == "gates") for candidate in candidates)
