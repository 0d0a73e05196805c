"""The six approaches of paper 004 are points of the space, and their parameter counts come out exactly."""

import optuna
import pytest

from searchlab.architecture import ImageSpec
from searchlab.candidate import SixCopies
from searchlab.model.cost import network_cost
from searchlab.search.catalog import find, load_space, load_studies
from searchlab.search.spaces import enqueued_candidates, propose
from searchlab.study import Study

CIFAR = ImageSpec(3, 32, 32, 10)

# Approach: blocks, first, second and skip kernel, width and parameters.
APPROACHES = {
    "I": ((1, 2, 3, 1), (1, 3, 1), 64, 4_971_338),
    "II(a)": ((3, 5, 3), (3, 3, 1), 64, 4_918_602),
    "II(b)": ((2, 2, 2), (5, 3, 1), 64, 4_874_826),
    "III(a)": ((3, 3, 5, 3), (3, 3, 1), 32, 4_957_098),
    "III(b)": ((2, 2, 2, 2), (5, 3, 1), 32, 4_894_762),
    "IV": ((2, 3, 4, 2), (7, 7, 5), 16, 4_914_842),
}


@pytest.mark.parametrize("approach", APPROACHES)
def test_approach_is_a_point_of_the_space(approach):
    blocks, (first, second, skip), width, params = APPROACHES[approach]
    known = {"layers": len(blocks), "budget_share": 1.0, "exits": 0, "first_exit": 0.0, "learning_rate": 0.1}
    known |= {f"blocks{i + 1}": count for i, count in enumerate((*blocks, 1)[:4])}
    known |= {"first_kernel": first, "second_kernel": second, "skip_kernel": skip, "recipe": "paper"}
    study = optuna.create_study()
    study.enqueue_trial(known)
    space = load_space(find("space", "limited"))
    candidate = propose(space, study.ask(), CIFAR, Study(space="limited", data="cifar10", max_params=5_000_000))
    assert candidate.architecture.blocks == blocks
    assert candidate.architecture.width == width
    assert network_cost(candidate, CIFAR).params == params


def test_the_papers_study_is_the_six_approaches_with_the_papers_recipe():
    source = find("study", "paper_limited")
    (study,) = load_studies(source)
    space = load_space(find("space", study.space, beside=source.path))
    candidates = enqueued_candidates(space, CIFAR, study)
    counts = {row: network_cost(each, CIFAR).params for row, each in zip(study.rows, candidates, strict=True)}
    assert counts == {f"Approach {name.replace('(', ' (')}": params for name, (*_, params) in APPROACHES.items()}
    (training,) = {candidate.training for candidate in candidates}
    assert (training.batch_size, training.learning_rate, training.momentum) == (32, 0.1, 0.9)
    assert not training.nesterov and training.ema == 0 and isinstance(training.augmentation, SixCopies)
    assert training.weight_decay == pytest.approx(0.1 * 1e-4)
    assert [share * study.epochs for share in training.decay.milestones] == [15, 25, 35, 45]
    assert (training.schedule, training.decay.factor, study.epochs) == ("multi_step", 0.1, 50)
    assert all(candidate.exits == () for candidate in candidates)
