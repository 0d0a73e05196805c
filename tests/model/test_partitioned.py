"""Router and experts against a literal computation, one image and one class at a time."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from property_tests import examples
from raises import raises_code
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from searchlab.architecture import ImageSpec, Partitioned, ResNet, Torchvision
from searchlab.candidate import Candidate, Exit
from searchlab.exits.scores import SCORES
from searchlab.model.cost import network_cost, parameter_count
from searchlab.model.early_exit import build
from searchlab.model.partitioned import RoutedExperts, check_coverage, routed_experts

IMAGES = ImageSpec(1, 8, 8, 6)
UNEVEN = ((4, 0), (1,), (5, 2, 3))
ROUTER, EXPERT = ResNet((1,), 3), ResNet((1, 1), 2)


def partitioned(routing="hard", groups=UNEVEN, generalist=None):
    return Partitioned(groups, ROUTER, tuple(EXPERT for _ in groups), generalist, routing)


@st.composite
def partitions(draw):
    """Six classes in two to six groups, in any order."""
    order, count = draw(st.permutations(range(6))), draw(st.integers(2, 6))
    ends = sorted(draw(st.sets(st.integers(1, 5), min_size=count - 1, max_size=count - 1)))
    return tuple(tuple(order[a:b]) for a, b in zip([0, *ends], [*ends, 6], strict=True))


def built(architecture, seed=0, sharpness=1.0):
    torch.manual_seed(seed)
    head = routed_experts(architecture, IMAGES).eval()
    linear = head.router.head[-1]
    with torch.no_grad():
        linear.weight *= sharpness
        # Every group is the likeliest of some images.
        linear.bias -= head.router(noise(64)).mean(dim=0)
    return head


def noise(images, seed=0):
    return torch.randn(images, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def literal(head: RoutedExperts, architecture, image_1CHW):
    """Probability of every class of one image."""
    group_p = F.softmax(head.router(image_1CHW).double(), dim=1)[0].tolist()
    named = max(range(len(group_p)), key=group_p.__getitem__)
    classes = sum(len(group) for group in architecture.groups)
    probabilities = [0.0] * classes
    for number, group in enumerate(architecture.groups):
        within = F.softmax(head.experts[number](image_1CHW).double(), dim=1)[0].tolist()
        for place, label in enumerate(group):
            if architecture.routing == "soft" or number == named:
                probabilities[label] += group_p[number] * within[place]
    if architecture.routing == "hard":
        probabilities = [p + (1 - group_p[named]) / classes for p in probabilities]
    return probabilities


@pytest.mark.slow
@examples(30)
@given(partitions(), st.sampled_from(["hard", "soft"]), st.integers(0, 99), st.sampled_from([1.0, 20.0]))
def test_logits_are_the_logarithms_of_literal_probabilities(groups, routing, seed, sharpness):
    architecture = partitioned(routing, groups)
    head, images_NCHW = built(architecture, seed, sharpness), noise(7, seed)
    with torch.inference_mode():
        logits_NC = head(images_NCHW)
        expected = [literal(head, architecture, image[None]) for image in images_NCHW]
    assert logits_NC.dtype == torch.float32
    np.testing.assert_allclose(logits_NC.exp().numpy(), np.array(expected), atol=1e-5)
    np.testing.assert_allclose(logits_NC.exp().sum(dim=1).numpy(), 1, atol=1e-5)


@pytest.mark.slow
@examples(30)
@given(partitions(), st.integers(0, 99), st.sampled_from([1.0, 20.0, 1e4]))
def test_hard_routing_names_what_the_expert_of_the_likeliest_group_does(groups, seed, sharpness):
    """And its classes come in the expert's order, before all others; a router beyond doubt leaves logits finite."""
    head, images_NCHW = built(partitioned("hard", groups), seed, sharpness), noise(7, seed)
    with torch.inference_mode():
        logits_NC = head(images_NCHW)
        assert logits_NC.isfinite().all()
        for image, logits_C in zip(images_NCHW, logits_NC, strict=True):
            named = int(head.router(image[None]).argmax())
            # Sure experts leave classes that no float tells from those of others: the first ones decide.
            own = [groups[named][place] for place in head.experts[named](image[None])[0].argsort(descending=True)]
            assert int(logits_C.argmax()) == own[0]
            assert min(logits_C[own]) >= max((logits_C[c] for c in range(6) if c not in own), default=-math.inf)
            assert logits_C[own].diff().max() <= 0 if len(own) > 1 else True


@pytest.mark.parametrize("routing", ["hard", "soft"])
def test_one_by_one_and_in_a_batch_is_the_same(routing):
    head, images_NCHW = built(partitioned(routing), sharpness=20.0), noise(16)
    with torch.inference_mode():
        one_by_one = torch.cat([head(image[None]) for image in images_NCHW])
        together = head(images_NCHW.to(memory_format=torch.channels_last))
        assert len(head.route(images_NCHW).argmax(dim=1).unique()) > 1, "a batch that is not divided tries nothing"
    torch.testing.assert_close(one_by_one, together)


@pytest.mark.parametrize(("routing", "images_seen"), [("hard", 16), ("soft", 48)])
def test_hard_routing_runs_each_image_through_one_expert(routing, images_seen):
    head, seen = built(partitioned(routing), sharpness=20.0), []
    for expert in head.experts:
        expert.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    with torch.inference_mode():
        head(noise(16))
    assert sum(seen) == images_seen
    assert min(seen) > 0


def test_scores_tell_the_doubts_of_router_and_expert():
    """The margin is p(group) times the expert's; the highest probability falls with the router's."""
    head, images_NCHW = built(partitioned("hard", ((0, 1, 2), (3, 4, 5)))), noise(20)
    with torch.inference_mode():
        logits_NC = head(images_NCHW)
        group_p_N, group_N = head.route(images_NCHW).exp().max(dim=1)
        pairs = zip(images_NCHW, group_N.tolist(), strict=True)
        expert_NC = torch.stack([head.experts[group](image[None])[0] for image, group in pairs])
    expert = SCORES["margin"](expert_NC.numpy())
    np.testing.assert_allclose(SCORES["margin"](logits_NC.numpy()), group_p_N.numpy() * expert, atol=1e-6)
    sure = SCORES["max_softmax"](expert_NC.numpy())
    expected = group_p_N.numpy() * sure + (1 - group_p_N.numpy()) / 6
    np.testing.assert_allclose(SCORES["max_softmax"](logits_NC.numpy()), expected, atol=1e-6)


NETWORKS = st.builds(ResNet, blocks=st.sampled_from([(1,), (1, 1)]), width=st.integers(1, 6))


@pytest.mark.slow
@examples(20)
@given(partitions(), st.data(), st.sampled_from(["hard", "soft"]), st.none() | NETWORKS)
def test_costs_are_those_of_what_is_built(groups, data, routing, generalist):
    """Every parameter is held. Under soft routing every expert runs, so that MACs can be counted by others' code."""
    experts = tuple(data.draw(NETWORKS) for _ in groups)
    exits = (Exit(1),) if generalist else ()
    candidate = Candidate(Partitioned(groups, data.draw(NETWORKS), experts, generalist, routing), exits)
    cost, network = network_cost(candidate, IMAGES), build(candidate, IMAGES).eval()
    assert cost.cuts == network.cuts and cost.params == parameter_count(network)
    assert [part.params for part in cost.stages] == [parameter_count(stage) for stage in network.stages]
    assert [part.params for part in cost.heads] == [parameter_count(head) for head in network.heads]
    if routing == "soft":
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            network(noise(1))
        assert cost.macs == counter.get_total_flops() // 2


def alone(architecture, classes):
    return network_cost(Candidate(architecture), ImageSpec(1, 8, 8, classes))


def test_costs_are_those_of_router_and_experts():
    """Hard: an expert counts by its share of the classes. Soft: all of them do. All of them are held, either way."""
    groups = ((4, 0), (1, 5, 2, 3))
    router, small, large = alone(ROUTER, 2), alone(EXPERT, 2), alone(EXPERT, 4)
    expected = {"hard": router.macs + small.macs * 2 / 6 + large.macs * 4 / 6}
    expected["soft"] = router.macs + small.macs + large.macs
    for routing, macs in expected.items():
        cost = network_cost(Candidate(partitioned(routing, groups)), IMAGES)
        assert cost.macs == round(macs)
        assert cost.params == router.params + small.params + large.params
        assert [part.name for part in (*cost.stages, *cost.heads)] == ["image", "final"]


@pytest.mark.parametrize("routing", ["hard", "soft"])
def test_with_a_generalist_it_is_the_first_exit(routing):
    generalist = ResNet((1, 1), 4)
    candidate = Candidate(partitioned(routing, generalist=generalist), (Exit(1), Exit(2)))
    network = build(candidate, IMAGES).eval()
    assert network.cuts == candidate.cuts == (0, 1, 2, 3)
    cost = network_cost(candidate, IMAGES)
    assert cost.stages[0].params == cost.stages[0].macs == 0
    own = network_cost(Candidate(generalist, (Exit(0), Exit(1))), IMAGES)
    assert cost.stages[1:] == own.stages and [head.macs for head in cost.heads[1:]] == [head.macs for head in own.heads]
    assert cost.params == parameter_count(network)
    with torch.inference_mode():
        logits_NKC = network(noise(5))
        assert logits_NKC.shape == (5, 4, 6)
        torch.testing.assert_close(logits_NKC[:, 0], network.heads[0](noise(5)))


def test_groups_are_no_part_of_the_weights():
    head = built(partitioned())
    assert all(not name.startswith("_") for name in head.state_dict())
    other = built(partitioned(), seed=1)
    other.load_state_dict(head.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(other(noise(3)), head(noise(3)))


@pytest.mark.parametrize(
    ("groups", "refused"),
    [
        (
            ((0, 1), (2, 3)),
            raises_code(
                "invalid-partition", where="partition", value=[4, 5], mentions="every class number from 0 to 5, on"
            ),
        ),
        (((0, 1, 2), (2, 3, 4, 5)), raises_code("invalid-partition", where="partition", value=[2])),
        (((0, 1, 2), (3, 4, 5, 6, -1)), raises_code("invalid-partition", where="partition", value=[-1, 6])),
    ],
)
def test_a_partition_that_does_not_cover_the_classes_is_refused(groups, refused):
    with refused:
        check_coverage(groups, 6)
    with refused:
        network_cost(Candidate(partitioned(groups=groups)), IMAGES)


def test_weights_of_the_same_seed_are_the_same():
    images = noise(4)
    with torch.inference_mode():
        torch.testing.assert_close(built(partitioned(), seed=3)(images), built(partitioned(), seed=3)(images))


@pytest.mark.slow
def test_torchvisions_classifiers_may_route_and_be_experts():
    theirs, images = Torchvision("resnet18"), ImageSpec(3, 32, 32, 6)
    groups = ((0, 1, 2), (3, 4, 5))
    head = routed_experts(Partitioned(groups, theirs, (ResNet((1,), 4), theirs)), images).eval()
    with torch.inference_mode():
        logits_NC = head(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    np.testing.assert_allclose(logits_NC.exp().sum(dim=1).numpy(), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "refused"),
    [
        (
            Partitioned(((0,), (1, 2, 3, 4, 5)), ROUTER, (Torchvision("resnet18"), EXPERT)),
            raises_code("unsupported-network", where="expert 0", value=1),
        ),
        (
            Partitioned(((0, 1, 2), (3, 4, 5)), ROUTER, (EXPERT, EXPERT), Torchvision("resnet18")),
            raises_code("unsupported-network", where="generalist"),
        ),
    ],
)
def test_torchvision_classifiers_are_refused_in_unsupported_roles(architecture, refused):
    with refused:
        network_cost(Candidate(architecture), ImageSpec(3, 32, 32, 6))
