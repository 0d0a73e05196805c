import pytest
import torch
from raises import raises_code

from searchlab.architecture import ImageSpec
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
    known = ["did you mean 'resnet8'?", f"known: {', '.join(sorted(REFERENCES))}"]
    with raises_code("unknown-reference", value="resnet9", mentions=known):
        reference_network("resnet9", CIFAR)
