import pytest
from pydantic import TypeAdapter, ValidationError

from searchlab.architecture import VGG, AlexNet, Architecture, GoogLeNet, Partitioned, ResNet, Torchvision
from searchlab.candidate import Candidate, Exit, Gate, Head, SixCopies, Training
from searchlab.serialization import from_plain, to_plain

SMALL = ResNet((1, 1), 4)
EVERY = (
    SMALL,
    ResNet((1, 2), 4, block="bottleneck"),
    ResNet((1, 2), 4, block="preactivation"),
    VGG((1, 2), 8),
    AlexNet(8),
    GoogLeNet(16, large_kernel=3, residual=True),
    Torchvision("resnet18", ("layer1", "layer2")),
    Partitioned(((0, 2), (1,)), SMALL, (SMALL, AlexNet(4)), generalist=VGG((1, 2), 4), routing="soft"),
)


@pytest.mark.parametrize("architecture", EVERY, ids=lambda each: each.kind)
def test_a_candidate_of_every_kind_survives_json(architecture):
    candidate = Candidate(architecture)
    again = from_plain(Candidate, to_plain(candidate))
    assert again == candidate
    assert type(again.architecture) is type(architecture)
    assert again.id == candidate.id


def test_stages():
    stages = [each.stages for each in EVERY]
    assert stages == [3, 4, 5, 3, 5, 10, 3, 4]
    assert Partitioned(((0,), (1,)), SMALL, (SMALL, SMALL)).stages == 1


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({"kind": "partitioned", "groups": [[0], [1]], "router": SMALL, "experts": [SMALL]}, "need as many experts"),
        ({"kind": "partitioned", "groups": [[0]], "router": SMALL, "experts": [SMALL]}, "at least 2"),
        ({"kind": "partitioned", "groups": [[0], []], "router": SMALL, "experts": [SMALL] * 2}, "at least 1"),
        ({"kind": "lenet"}, "lenet"),
        ({"kind": "vgg", "convolutions": [1] * 6}, "at most 5"),
        ({"kind": "googlenet", "large_kernel": 7}, "3 or 5"),
    ],
)
def test_invalid_architectures_are_refused(data, fault):
    with pytest.raises(ValidationError, match=fault):
        TypeAdapter(Architecture).validate_python(data)


def test_networks_with_a_head_of_their_own():
    torchvision = Candidate(Torchvision("resnet18", ("layer1", "layer2")), (Exit(0), Exit(1)))
    assert torchvision.own_cuts == (2,)
    assert torchvision.cuts == (0, 1, 2)
    assert torchvision.heads == {0: Head(), 1: Head()}
    alone = Candidate(Partitioned(((0,), (1,)), SMALL, (SMALL, SMALL)))
    assert (alone.own_cuts, alone.cuts, alone.heads) == ((0,), (0,), {})
    with_generalist = Candidate(Partitioned(((0,), (1,)), SMALL, (SMALL, SMALL), generalist=SMALL), (Exit(1),))
    assert with_generalist.cuts == (0, 1, 3)
    assert with_generalist.heads == {1: Head(), 3: Head()}


def test_an_exit_at_the_cut_of_the_experts_is_refused():
    architecture = Partitioned(((0,), (1,)), SMALL, (SMALL, SMALL), generalist=SMALL)
    with pytest.raises(ValidationError, match="exit at cut 0: this cut has the router"):
        Candidate(architecture, (Exit(0),))
    with pytest.raises(ValidationError, match="the backbone has no cut for an early exit"):
        Candidate(Partitioned(((0,), (1,)), SMALL, (SMALL, SMALL)), (Exit(0),))


def test_gates_on_all_exits_or_on_none():
    gated = Candidate(SMALL, (Exit(0, gate=Gate()), Exit(1, gate=Gate(2))))
    assert gated.gates == (Gate(), Gate(2))
    assert Candidate(SMALL, (Exit(0),)).gates == ()
    with pytest.raises(ValidationError, match="all exits must have a gate, or none"):
        Candidate(SMALL, (Exit(0, gate=Gate()), Exit(1)))
    with pytest.raises(ValidationError, match='regime "gates" needs exits with a gate'):
        Candidate(SMALL, (Exit(0),), training=Training(regime="gates"))
    partitioned = Partitioned(((0,), (1,)), SMALL, (SMALL, SMALL), generalist=SMALL)
    with pytest.raises(ValidationError, match="not supported"):
        Candidate(partitioned, (Exit(1, gate=Gate()),))


def test_alpha_outside_0_to_1_is_refused():
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Training(gate_loss_weight=1.2)


def test_augmentations_are_told_apart():
    assert from_plain(Training, to_plain(Training(augmentation=SixCopies()))).augmentation == SixCopies()
