"""The six approaches of paper 004 are points of the space, and their parameter counts come out exactly."""

import optuna
import pytest

from searchlab.candidate import ImageSpec
from searchlab.model.cost import network_cost
from searchlab.search.catalog import find, load_space
from searchlab.search.spaces import propose
from searchlab.study import Study

CIFAR = ImageSpec(3, 32, 32, 10)

# Approach: blocks, first, second and skip kernel, width and parameters (design section 7).
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
    known |= {"first_kernel": first, "second_kernel": second, "skip_kernel": skip}
    study = optuna.create_study()
    study.enqueue_trial(known)
    space = load_space(find("space", "limited_resnet"))
    candidate = propose(space, study.ask(), CIFAR, Study(space="limited_resnet", data="cifar10", max_params=5_000_000))
    assert candidate.architecture.blocks == blocks
    assert candidate.architecture.width == width
    assert network_cost(candidate, CIFAR).params == params
