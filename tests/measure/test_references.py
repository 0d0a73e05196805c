import pytest
import torch

from searchlab.architecture import ImageSpec
from searchlab.errors import UserError
from searchlab.measure.references import REFERENCES, reference_network
from searchlab.model.cost import network_cost

CIFAR = ImageSpec(3, 32, 32, 10)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_has_one_exit_and_leaves_the_random_numbers_alone(name):
    before = torch.get_rng_state()
    network = reference_network(name, CIFAR)
    assert torch.equal(torch.get_rng_state(), before)
    assert len(network.heads) == 1 and not network.training


def test_resnet18_is_the_papers():
    assert network_cost(REFERENCES["resnet18"], CIFAR).params == 11_173_962


def test_an_unknown_reference_is_refused():
    with pytest.raises(
        UserError,
        match=rf"unknown reference: 'resnet9' \(did you mean 'resnet8'\? known: {', '.join(sorted(REFERENCES))}\)",
    ):
        reference_network("resnet9", CIFAR)
